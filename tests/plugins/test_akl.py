"""AKL: both KL divergences, weighted by the gaps of head and tail."""

import numpy as np
import pytest
from pydantic import ValidationError

from kdzoo.testing import check_method

TARGETS = [[3, 4, 5], [], [6, 7]]


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


def of_paper(student, teacher, mu, *, with_crossing):
    """The paper's AKL of one token in float64, or with the head of its code: without the token that exceeds mu."""
    p, q = softmax(teacher), softmax(student)
    ranked = np.argsort(-p)
    reached = np.cumsum(p[ranked])
    size = int((reached < mu).sum()) + 1 if with_crossing else max(1, int((reached <= mu).sum()))
    gap = np.abs(p - q)
    g_head, g_tail = gap[ranked[:size]].sum(), gap[ranked[size:]].sum()
    forward, reverse = (p * np.log(p / q)).sum(), (q * np.log(q / p)).sum()
    return (g_head * forward + g_tail * reverse) / (g_head + g_tail)


@pytest.mark.parametrize("options", [{}, {"mu": 0.9, "head": "within"}, {"mle_weight": 0}])
def test_it_keeps_the_rules(options):
    check_method("akl", options)


@pytest.mark.parametrize("mu", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("head", ["reaching", "within"])
def test_its_divergence_is_the_paper_s_or_its_code_s(hooks, logits, head, mu):
    given = hooks("akl", mu=mu, head=head, kd_weight=0.5).divergence(*logits)
    pairs = zip(*(side.double().numpy() for side in logits), strict=True)
    expected = [0.5 * of_paper(s, t, mu, with_crossing=head == "reaching") for s, t in pairs]
    np.testing.assert_allclose(given.numpy(), expected, rtol=1e-5)


def test_its_defaults_are_the_paper_s(hooks, logits):
    akl = hooks("akl")
    assert (akl.options.mu, akl.options.kd_weight, akl.options.mle_weight) == (0.5, 1, 1)
    pairs = zip(*(side.double().numpy() for side in logits), strict=True)
    expected = [of_paper(s, t, 0.5, with_crossing=True) for s, t in pairs]
    np.testing.assert_allclose(akl.divergence(*logits).numpy(), expected, rtol=1e-5)


def test_it_trains_on_the_ground_truth_with_mle(hooks, make_step, mean_nll):
    step, akl = make_step(TARGETS), hooks("akl", mle_weight=2)
    assert akl.sequences(step) is step.target
    with_end = [[*row, 2] for row in TARGETS]
    assert akl.aux_loss(step).item() == pytest.approx(2 * mean_nll(step, with_end, with_end), rel=1e-5)


@pytest.mark.parametrize("options", [{"mu": 0}, {"mu": 1.1}, {"head": "all"}, {"data": "student"}])
def test_options_out_of_range_are_errors(hooks, options):
    with pytest.raises(ValidationError):
        hooks("akl", **options)
