"""SKD: algorithm 1 of the paper, token by token, and the divergence on what it gives."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from kdzoo import divergences
from kdzoo.methods.source import Source
from kdzoo.testing import check_method

TARGETS = [[3, 4, 5, 6], [7], [], [8, 9]]
LIMIT = 8


def distribution(model, prompt, prefix, temperature):
    logits = model.next_logits(prompt, prefix).detach().double().numpy() / temperature
    return np.exp(logits) / np.exp(logits).sum()


def drawn(probabilities, number):
    """The token in whose share of [0, 1) the number lies."""
    return int(np.searchsorted(np.cumsum(probabilities), number * probabilities.sum(), side="right"))


def algorithm_1(step, top_k, student_temperature, teacher_temperature):
    """The paper's algorithm for every prompt, and how many proposals were replaced, and how many there were."""
    rows, replaced = [], []
    numbers = step.generator.per_row(2 * LIMIT).double().numpy()
    for prompt in range(len(TARGETS)):
        row = []
        while len(row) < LIMIT and 2 not in row:
            first, second = numbers[prompt, 2 * len(row) : 2 * len(row) + 2]
            token = drawn(distribution(step.student.model, prompt, row, student_temperature), first)
            ranked = np.argsort(-distribution(step.teacher.model, prompt, row, 1))
            replaced.append(token not in ranked[:top_k])
            if replaced[-1]:
                token = drawn(distribution(step.teacher.model, prompt, row, teacher_temperature), second)
            row.append(token)
        rows.append(row)
    return rows, replaced


@pytest.mark.parametrize("options", [{}, {"top_k": 2}, {"divergence": "rkl", "temperature": 0}])
def test_it_keeps_the_rules(options):
    check_method("skd", options)


@pytest.mark.parametrize("temperatures", [(1.0, 1.0), (0.5, 0.2)])
@pytest.mark.parametrize("top_k", [1, 4, 25])
def test_its_sequences_are_those_of_the_paper_s_algorithm(hooks, make_step, top_k, temperatures):
    student, teacher = temperatures
    skd = hooks("skd", top_k=top_k, temperature=student, teacher_temperature=teacher)
    every = []
    for number in range(5):
        expected, replaced = algorithm_1(make_step(TARGETS, step=number), top_k, student, teacher)
        step = make_step(TARGETS, step=number)
        assert skd.rows(step) == expected
        assert set(step.training_sequence.sources.tolist()) == {Source.STUDENT}
        every += replaced
    assert (any(every), all(every)) == (top_k < 12, False)


def test_its_k_is_the_paper_s(hooks):
    assert hooks("skd").options.top_k == 25


def test_of_equally_probable_tokens_all_are_accepted(hooks, make_step):
    step = make_step(TARGETS)
    step.teacher.model.table.zero_()
    only_the_student, _ = algorithm_1(make_step(TARGETS), 12, 1.0, 1.0)
    assert hooks("skd", top_k=1).rows(step) == only_the_student


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fkl", divergences.forward_kl),
        ("rkl", divergences.reverse_kl),
        ("jsd", divergences.jensen_shannon),
    ],
)
def test_its_divergence(hooks, logits, name, expected):
    assert torch.equal(hooks("skd", divergence=name).divergence(*logits), expected(*logits))
    if name == "fkl":
        assert torch.equal(hooks("skd").divergence(*logits), expected(*logits))


@pytest.mark.parametrize("options", [{"top_k": 0}, {"divergence": "tvd"}, {"teacher_temperature": -1}])
def test_options_out_of_range_are_errors(hooks, options):
    with pytest.raises(ValidationError):
        hooks("skd", **options)
