"""ABKD: the alpha-beta divergence, and what its parameters may be."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from kdzoo import divergences
from kdzoo.testing import check_method

TARGETS = [[3, 4, 5], [], [6, 7]]


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


def of_paper(student, teacher, alpha, beta):
    """The paper's divergence of one token in float64, where no parameter is 0."""
    p, q = softmax(teacher), softmax(student)
    total = alpha + beta
    terms = p**alpha * q**beta - alpha / total * p**total - beta / total * q**total
    return -terms.sum() / (alpha * beta)


@pytest.mark.parametrize(
    "options",
    [{}, {"alpha": 0, "beta": 0}, {"alpha": -0.5, "beta": 0.5}, {"beta": 0, "mle_weight": 0}],
)
def test_it_keeps_the_rules(options):
    check_method("abkd", options)


@pytest.mark.parametrize(("alpha", "beta"), [(0.2, 0.7), (0.5, 0.5), (1, 1), (0.8, 0.3), (-0.2, 1.2)])
def test_its_divergence_is_the_paper_s(hooks, logits, alpha, beta):
    pairs = zip(*(side.double().numpy() for side in logits), strict=True)
    expected = [0.5 * of_paper(s, t, alpha, beta) for s, t in pairs]
    given = hooks("abkd", alpha=alpha, beta=beta, kd_weight=0.5).divergence(*logits)
    np.testing.assert_allclose(given.numpy(), expected, rtol=2e-5)


def test_its_defaults_are_those_for_instruction_following(hooks, logits):
    abkd = hooks("abkd")
    assert (abkd.options.alpha, abkd.options.beta, abkd.options.mle_weight) == (0.2, 0.7, 1)
    pairs = zip(*(side.double().numpy() for side in logits), strict=True)
    expected = [of_paper(s, t, 0.2, 0.7) for s, t in pairs]
    np.testing.assert_allclose(abkd.divergence(*logits).numpy(), expected, rtol=2e-5)


def test_its_ends_are_fkd_and_rkd(hooks, logits):
    for alpha, beta, same in ((1, 0, divergences.forward_kl), (0, 1, divergences.reverse_kl)):
        given = hooks("abkd", alpha=alpha, beta=beta).divergence(*logits)
        torch.testing.assert_close(given, same(*logits), rtol=1e-5, atol=1e-6)


def test_it_trains_on_the_ground_truth_with_mle_unless_told_otherwise(hooks, make_step, mean_nll):
    step, abkd = make_step(TARGETS), hooks("abkd")
    assert abkd.sequences(step) is step.target
    with_end = [[*row, 2] for row in TARGETS]
    assert abkd.aux_loss(step).item() == pytest.approx(mean_nll(step, with_end, with_end), rel=1e-5)
    assert hooks("abkd", mle_weight=0).aux_loss(step) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"alpha": -1, "beta": 0.5}, r"alpha \+ beta must be at least 0"),
        ({"alpha": 0.001, "beta": 0}, "at least 0.01 away"),
        ({"alpha": 6}, "less than or equal to 5"),
        ({"beta": float("nan")}, "beta"),
    ],
)
def test_parameters_without_a_divergence_are_errors_that_say_why(hooks, options, words):
    with pytest.raises(ValidationError, match=words):
        hooks("abkd", **options)
