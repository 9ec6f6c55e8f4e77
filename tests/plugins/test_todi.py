"""ToDi: forward and reverse KL, mixed for each entry of the vocabulary by itself."""

import numpy as np
import pytest
from pydantic import ValidationError

from kdzoo.testing import check_method

TARGETS = [[3, 4, 5], [], [6, 7]]


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


def of_paper(student, teacher, beta):
    """The paper's loss of one token in float64, entry by entry."""
    loss = 0.0
    for p, q in zip(softmax(teacher), softmax(student), strict=True):
        weight = 1 / (1 + np.exp(-beta * np.log(p / q)))
        loss += weight * p * np.log(p / q) + (1 - weight) * q * np.log(q / p)
    return loss


@pytest.mark.parametrize("options", [{}, {"beta": 0}, {"beta": 20, "mle_weight": 0}])
def test_it_keeps_the_rules(options):
    check_method("todi", options)


@pytest.mark.parametrize("options", [{}, {"beta": 0}, {"beta": 3.0, "kd_weight": 0.5}])
def test_its_divergence_is_the_paper_s(hooks, logits, options):
    pairs = zip(*(side.double().numpy() for side in logits), strict=True)
    beta, weight = options.get("beta", 1), options.get("kd_weight", 1)
    expected = [weight * of_paper(s, t, beta) for s, t in pairs]
    np.testing.assert_allclose(hooks("todi", **options).divergence(*logits).numpy(), expected, rtol=1e-5)


def test_it_trains_on_the_ground_truth_with_mle(hooks, make_step, mean_nll):
    step, todi = make_step(TARGETS), hooks("todi")
    assert todi.sequences(step) is step.target
    with_end = [[*row, 2] for row in TARGETS]
    assert todi.aux_loss(step).item() == pytest.approx(mean_nll(step, with_end, with_end), rel=1e-5)


@pytest.mark.parametrize("options", [{"beta": -1}, {"beta": float("inf")}, {"beta": float("nan")}])
def test_options_out_of_range_are_errors(hooks, options):
    with pytest.raises(ValidationError):
        hooks("todi", **options)
