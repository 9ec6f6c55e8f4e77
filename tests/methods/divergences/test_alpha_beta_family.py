"""The alpha-beta divergence and its assistant equal their definitions in float64, in the limits too."""

import math

import pytest
import torch
from logits_of_tokens import value_and_gradient

from kdzoo import divergences


def of_definition(x, y, alpha, beta):
    """Definition of the divergence D(x‖y), and its limits as Cichocki et al. 2011 give them."""
    if alpha == beta == 0:
        terms = (x.log() - y.log()) ** 2 / 2
    elif alpha == 0:
        terms = (y**beta * (y**beta / x**beta).log() - y**beta + x**beta) / beta**2
    elif beta == 0:
        terms = (x**alpha * (x**alpha / y**alpha).log() - x**alpha + y**alpha) / alpha**2
    elif alpha + beta == 0:
        terms = ((y**alpha / x**alpha).log() + x**alpha / y**alpha - 1) / alpha**2
    else:
        total = alpha + beta
        terms = x**alpha * y**beta - alpha / total * x**total - beta / total * y**total
        terms = -terms / (alpha * beta)
    return terms.sum(-1)


PAIRS = [
    *[(0.2, 0.7), (0.5, 0.5), (1, 1), (2, 0.5), (0.8, 0.3), (-0.3, 1.2), (1.2, -0.3), (1e-4, 1), (1, 1e-4)],
    *[(0, 0.5), (0, 1), (0.5, 0), (1, 0), (0, 0), (0.5, -0.5), (-1, 1)],
]


def assert_equal(function, formula, student, teacher, weights):
    value, gradient = value_and_gradient(function, student, teacher, weights)
    expected, slope = value_and_gradient(formula, student.double(), teacher.double(), weights.double())
    torch.testing.assert_close(value.double(), expected, rtol=5e-5, atol=2e-6)
    # a sum of parts of both signs is as exact as its greatest part
    torch.testing.assert_close(
        gradient.double(), slope, rtol=2e-4, atol=2e-6 * max(1, slope.abs().max().item())
    )


@pytest.fixture
def logits():
    torch.manual_seed(0)
    return torch.randn(2, 8, 40)


class TestAlphaBeta:
    @pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
    @pytest.mark.parametrize(("alpha", "beta"), PAIRS)
    def test_value_and_gradient_are_those_of_the_definition(self, alpha, beta, scale, logits):
        student, teacher = logits * scale
        assert_equal(
            lambda s, t: divergences.alpha_beta(s, t, alpha, beta),
            lambda s, t: of_definition(t.softmax(-1), s.softmax(-1), alpha, beta),
            student,
            teacher,
            torch.randn(8),
        )

    @pytest.mark.parametrize(
        ("alpha", "beta", "same"),
        [(1, 0, divergences.forward_kl), (0, 1, divergences.reverse_kl)],
    )
    def test_its_corners_are_the_kl_divergences(self, alpha, beta, same, logits):
        found = value_and_gradient(lambda s, t: divergences.alpha_beta(s, t, alpha, beta), *logits)
        for ours, expected in zip(found, value_and_gradient(same, *logits), strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize(("alpha", "beta"), [(0, 0.7), (0.2, 0), (0.5, -0.5)])
    def test_it_passes_its_limits_smoothly(self, alpha, beta, logits):
        limit = divergences.alpha_beta(*logits, alpha, beta)
        for near in (1e-3, 1e-5, 1e-9):
            beside = divergences.alpha_beta(*logits, alpha + near, beta + near)
            torch.testing.assert_close(beside, limit, rtol=20 * near + 1e-4, atol=1e-6)

    def test_by_hand(self):
        # p = (1/4, 3/4), q = (1, 0): the sum of sqrt(p q) is 1/2, which leaves 4 (1 - 1/2)
        student, teacher = torch.tensor([[0.0, -torch.inf]]), torch.tensor([[1.0, 3.0]]).log()
        assert divergences.alpha_beta(student, teacher, 0.5, 0.5).item() == pytest.approx(2, abs=1e-5)
        # half the squared distance: ((3/4)^2 + (3/4)^2) / 2
        assert divergences.alpha_beta(student, teacher, 1, 1).item() == pytest.approx(9 / 16, abs=1e-5)

    @pytest.mark.parametrize(
        ("alpha", "beta", "words"),
        [
            (-1, 0.5, r"alpha \+ beta must be at least 0, not -1 \+ 0.5"),
            (0.001, 0.002, "at least 0.01 away"),
            (math.inf, 0, "finite"),
            (1, math.nan, "finite"),
        ],
    )
    def test_parameters_that_give_no_number_are_errors(self, alpha, beta, words):
        with pytest.raises(ValueError, match=words):
            divergences.alpha_beta(torch.zeros(1, 2), torch.zeros(1, 2), alpha, beta)
        with pytest.raises(ValueError, match=words):
            divergences.check_alpha_beta(alpha, beta)


def assistant(p, q, alpha, share):
    """Shin et al.'s alpha-mixture, normalised; its limit, the geometric mean, at alpha 1."""
    if alpha == 1:
        r = p**share * q ** (1 - share)
    else:
        k = (1 - alpha) / 2
        r = (share * p**k + (1 - share) * q**k) ** (1 / k)
    return r / r.sum(-1, keepdim=True)


def assistant_of_its_code(teacher, student, alpha, share):
    """What the public code of the paper computes (aailab-kaist/AMiD) for alpha below 1: in logarithms."""
    half = 0.5 * (1 - alpha)
    first = math.log(share) + half * teacher.log_softmax(-1)
    second = math.log(1 - share) + half * student.log_softmax(-1)
    return (torch.logaddexp(first, second) / half).softmax(-1)


class TestAssistant:
    @pytest.mark.parametrize("ab", [(1, 0), (0.2, 0.7), (0, 1)])
    @pytest.mark.parametrize("order", ["pr", "qr", "rp", "rq"])
    @pytest.mark.parametrize(
        ("alpha", "share"), [(-5, 0.5), (-1, 0.1), (0, 0.9), (0.5, 0.5), (1, 0.3), (3, 0.5)]
    )
    def test_value_and_gradient_are_those_of_the_definition(self, alpha, share, order, ab, logits):
        def formula(student, teacher):
            p, q = teacher.softmax(-1), student.softmax(-1)
            named = {"p": p, "q": q, "r": assistant(p, q, alpha, share)}
            return of_definition(named[order[0]], named[order[1]], *ab)

        assert_equal(
            lambda s, t: divergences.assistant_alpha_beta(s, t, alpha=alpha, share=share, order=order, ab=ab),
            formula,
            *logits * 2,
            torch.randn(8),
        )

    @pytest.mark.parametrize("alpha", [-3, 0.5, 0.9])
    def test_it_is_the_public_code_s(self, alpha, logits):
        def formula(student, teacher):
            r = assistant_of_its_code(teacher, student, alpha, 0.3)
            return of_definition(teacher.softmax(-1), r, 0.2, 0.7)

        assert_equal(
            lambda s, t: divergences.assistant_alpha_beta(s, t, alpha=alpha, share=0.3, ab=(0.2, 0.7)),
            formula,
            *logits * 2,
            torch.randn(8),
        )

    def test_the_arithmetic_mean_gives_the_skewed_kl(self, logits):
        student, teacher = logits
        p, q = teacher.double().softmax(-1), student.double().softmax(-1)
        skewed = (p * (p / (0.1 * p + 0.9 * q)).log()).sum(-1)
        value = divergences.assistant_alpha_beta(student, teacher, alpha=-1, share=0.1)
        torch.testing.assert_close(value.double(), skewed, rtol=1e-4, atol=1e-6)

    def test_half_of_both_by_the_arithmetic_mean_is_f_distill_s(self, logits):
        for order, same in (
            ("pr", divergences.teacher_to_mixture_kl),
            ("qr", divergences.student_to_mixture_kl),
        ):
            value = divergences.assistant_alpha_beta(*logits, alpha=-1, share=0.5, order=order)
            torch.testing.assert_close(value, same(*logits), rtol=1e-4, atol=1e-6)

    def test_it_passes_the_geometric_mean_smoothly(self, logits):
        limit = divergences.assistant_alpha_beta(*logits, alpha=1, share=0.3)
        for near in (1e-3, -1e-3, 1e-6, -1e-9):
            beside = divergences.assistant_alpha_beta(*logits, alpha=1 + near, share=0.3)
            torch.testing.assert_close(beside, limit, rtol=20 * abs(near) + 1e-4, atol=1e-6)

    @pytest.mark.parametrize("share", [0, 1, -0.1, math.nan])
    def test_without_a_share_of_both_there_is_no_assistant(self, share):
        with pytest.raises(ValueError, match="share"):
            divergences.assistant_alpha_beta(torch.zeros(1, 2), torch.zeros(1, 2), alpha=0, share=share)

    def test_its_divergence_s_parameters_are_checked(self):
        with pytest.raises(ValueError, match="at least 0"):
            divergences.assistant_alpha_beta(
                torch.zeros(1, 2), torch.zeros(1, 2), alpha=0, share=0.5, ab=(-1, 0)
            )
