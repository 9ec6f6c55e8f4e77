"""ATKD: which tokens of a sequence are hard, and what is taught on them and on the others."""

import pytest
import torch
from pydantic import ValidationError

from kdzoo.methods.source import Source
from kdzoo.testing import check_method

TARGETS = [[3, 4, 5, 6, 7], [8, 3], []]


def of_paper(step, sequences, k, share):
    """The loss of all tokens in float64: loops over sequences and tokens; means of easy and hard within a sequence."""
    total, count = 0.0, 0
    lengths = sequences.lengths.tolist()
    for row, length in enumerate(lengths):
        tokens = sequences.tokens[row, :length].tolist()
        parts = []
        for t, y in enumerate(tokens):
            q, p = (
                model.model.next_logits(row, tokens[:t]).detach().double().softmax(-1)
                for model in (step.student, step.teacher)
            )
            tkd = p[y] * (p[y] / q[y]).log() + (1 - p[y]) * ((1 - p[y]) / (1 - q[y])).log()
            rest = [i for i in range(len(p)) if i != y]
            p_rest, q_rest = p[rest] / p[rest].sum(), q[rest] / q[rest].sum()
            dkd = (p_rest * (p_rest / q_rest).log()).sum()
            parts.append((1 - p[y].item(), tkd.item(), dkd.item()))
        parts.sort(key=lambda part: -part[0])
        n = min(length, max(1, int(k * length + 0.5)))
        hard, easy = parts[:n], parts[n:]
        loss = (1 - share) * sum(tkd + dkd for _, tkd, dkd in hard) / len(hard)
        if easy:
            loss += share * sum(dkd for _, _, dkd in easy) / len(easy)
        total, count = total + length * loss, count + length
    return total / count


@pytest.mark.parametrize("options", [{}, {"k": 0.2, "lambda": 0.7}, {"data": "student", "mle_weight": 0.5}])
def test_it_keeps_the_rules(options):
    check_method("atkd", options)


@pytest.mark.parametrize("data", ["ground_truth", "student"])
@pytest.mark.parametrize(("k", "share"), [(0.5, 0.2), (0.3, 0.9), (1, 0.2)])
def test_its_loss_is_the_paper_s_in_each_sequence(hooks, make_step, data, k, share):
    step = make_step(TARGETS)
    atkd = hooks("atkd", k=k, data=data, **{"lambda": share})
    sequences = atkd.sequences(step)
    student, teacher = (model.logits(sequences)[sequences.mask] for model in (step.student, step.teacher))
    loss = atkd.divergence(student, teacher, sequences.scored).mean()
    assert loss.item() == pytest.approx(of_paper(step, sequences, k, share), rel=1e-4)
    assert set(sequences.sources.tolist()) == {Source.STUDENT if data == "student" else Source.GROUND_TRUTH}


def test_a_sequence_of_odd_length_is_the_code_s_reading(hooks, make_step):
    """distill_trainer.py of WHU-ZQH/ATKD for a batch of one sequence: split at the median of 1 - p(y), means of both."""
    step = make_step([[3, 4, 5, 6]])
    atkd = hooks("atkd")
    sequences = atkd.sequences(step)
    student, teacher = (model.logits(sequences)[sequences.mask] for model in (step.student, step.teacher))
    loss = atkd.divergence(student, teacher, sequences.scored).mean()

    ids = sequences.scored.ids
    others = torch.ones_like(student).scatter(1, ids[:, None], 0).bool()
    q, p = student.detach().double().softmax(-1), teacher.double().softmax(-1)
    q_y, p_y = (d[~others] for d in (q, p))
    tckd = p_y * (p_y / q_y).log() + (1 - p_y) * ((1 - p_y) / (1 - q_y)).log()
    q_rest, p_rest = (logits.double()[others].reshape(5, -1).softmax(-1) for logits in (student, teacher))
    nckd = (p_rest * (p_rest / q_rest).log()).sum(-1)
    easy = (1 - p_y) < (1 - p_y).median()
    expected = 0.2 * nckd[easy].mean() + 0.8 * (tckd + nckd)[~easy].mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("data", ["ground_truth", "student"])
def test_mle_is_that_of_the_ground_truth_if_it_is_asked_for(hooks, make_step, mean_nll, data):
    step, with_end = make_step(TARGETS), [[*row, 2] for row in TARGETS]
    weighted = hooks("atkd", data=data, mle_weight=0.5)
    weighted.sequences(step)
    assert weighted.aux_loss(step).item() == pytest.approx(0.5 * mean_nll(step, with_end, with_end), rel=1e-5)
    assert weighted.options.scores_target == (data == "student")
    assert hooks("atkd", data=data).aux_loss(step) is None


def test_a_sequence_of_one_token_is_hard(hooks, make_step):
    sequences = hooks("atkd", k=0.1).sequences(make_step([[]]))
    assert sequences.scored.values["hard"].tolist() == [1]
    assert sequences.scored.values["weight"].tolist() == pytest.approx([0.8])


@pytest.mark.parametrize("options", [{"k": 0}, {"k": 1.1}, {"lambda": -0.1}, {"lambda": 2}])
def test_options_out_of_range_are_errors(hooks, options):
    with pytest.raises(ValidationError):
        hooks("atkd", **options)
