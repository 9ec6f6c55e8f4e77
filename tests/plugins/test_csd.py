"""CSD: differences of logits over all pairs of entries, their weights, and the sequences that they are taken on."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from kdzoo import divergences
from kdzoo.methods.source import Source
from kdzoo.testing import check_method

TARGETS = [[3, 4, 5], [], [6, 7]]


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


def of_paper(student, teacher, w1, w2, temperature):
    """Half of equation 8 of one token in float64: two plain loops over the vocabulary."""
    weights = {
        "student": softmax(student / temperature),
        "teacher": softmax(teacher),
        "uniform": np.full(len(student), 1 / len(student)),
    }
    loss = 0.0
    for y in range(len(student)):
        for x in range(len(student)):
            residual = student[x] - student[y] - teacher[x] + teacher[y]
            loss += weights[w1][y] * weights[w2][x] * residual**2 / 2
    return loss / 2


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"data": "student"},
        {"w1": "uniform", "loss_temp": 1.5},
        {"w1": "teacher", "w2": "teacher", "mle_weight": 0.5},
    ],
)
def test_it_keeps_the_rules(options):
    check_method("csd", options)


@pytest.mark.parametrize("w1", ["student", "teacher", "uniform"])
@pytest.mark.parametrize("w2", ["student", "teacher", "uniform"])
def test_its_divergence_is_the_paper_s(hooks, logits, w1, w2):
    csd = hooks("csd", w1=w1, w2=w2, loss_temp=1.5, kd_weight=3)
    pairs = zip(*(side.double().numpy() for side in logits), strict=True)
    expected = [3 * of_paper(s, t, w1, w2, 1.5) for s, t in pairs]
    np.testing.assert_allclose(csd.divergence(*logits).numpy(), expected, rtol=1e-5)


def test_its_defaults_weigh_by_the_student_and_so_train_as_the_reverse_kl(hooks, logits):
    student, teacher = logits
    pairs = zip(*(side.double().numpy() for side in logits), strict=True)
    expected = [of_paper(s, t, "student", "student", 1) for s, t in pairs]
    np.testing.assert_allclose(hooks("csd").divergence(*logits).numpy(), expected, rtol=1e-5)
    leaf = student.clone().requires_grad_()
    gradients = [
        torch.autograd.grad(loss(leaf, teacher).sum(), leaf)[0]
        for loss in (hooks("csd").divergence, divergences.reverse_kl)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def test_it_trains_on_the_ground_truth_or_on_what_the_student_generates(hooks, make_step):
    step = make_step(TARGETS)
    assert hooks("csd").sequences(step) is step.target
    assert hooks("csd").aux_loss(step) is None
    sequences = hooks("csd", data="student", temperature=0).sequences(step)
    assert sequences.tokens.tolist() == make_step(TARGETS).student.generate(temperature=0).tokens.tolist()
    assert set(sequences.sources.tolist()) == {Source.STUDENT}


@pytest.mark.parametrize("options", [{"w1": "data"}, {"loss_temp": 0}, {"data": "both"}])
def test_options_out_of_range_are_errors(hooks, options):
    with pytest.raises(ValidationError):
        hooks("csd", **options)
