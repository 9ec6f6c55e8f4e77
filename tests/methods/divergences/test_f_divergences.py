"""The f-divergences equal the textbook's formulas, in value and gradient, and TRL's."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from logits_of_tokens import logit_pairs, value_and_gradient

from kdzoo import divergences

# p and q of one token in float64: plain numpy, in no way stabilised
TEXTBOOK = {
    "fkl": lambda p, q: np.sum(p * np.log(p / q)),
    "rkl": lambda p, q: np.sum(q * np.log(q / p)),
    "jsd": lambda p, q: jsd(p, q, 0.5),
    "jsd 0.1": lambda p, q: jsd(p, q, 0.1),
    "jsd 0.9": lambda p, q: jsd(p, q, 0.9),
    "teacher to mixture": lambda p, q: np.sum(p * np.log(p / (p / 2 + q / 2))),
    "student to mixture": lambda p, q: np.sum(q * np.log(q / (p / 2 + q / 2))),
    "skew": lambda p, q: np.sum(p * np.log(p / (0.1 * p + 0.9 * q))),
    "skew reverse": lambda p, q: np.sum(q * np.log(q / (0.9 * p + 0.1 * q))),
    "skew reverse 0.7": lambda p, q: np.sum(q * np.log(q / (0.3 * p + 0.7 * q))),
    "tvd": lambda p, q: np.abs(p - q).sum() / 2,
}
DIVERGENCES = {
    "fkl": divergences.forward_kl,
    "rkl": divergences.reverse_kl,
    "jsd": divergences.jensen_shannon,
    "jsd 0.1": lambda student, teacher: divergences.jensen_shannon(student, teacher, beta=0.1),
    "jsd 0.9": lambda student, teacher: divergences.jensen_shannon(student, teacher, beta=0.9),
    "teacher to mixture": divergences.teacher_to_mixture_kl,
    "student to mixture": divergences.student_to_mixture_kl,
    "skew": divergences.skew_kl,
    "skew reverse": divergences.skew_reverse_kl,
    "skew reverse 0.7": lambda student, teacher: divergences.skew_reverse_kl(student, teacher, 0.7),
    "tvd": divergences.total_variation,
}

every_divergence = pytest.mark.parametrize("name", DIVERGENCES)


def jsd(p, q, beta):
    m = beta * p + (1 - beta) * q
    return beta * np.sum(p * np.log(p / m)) + (1 - beta) * np.sum(q * np.log(q / m))


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


@every_divergence
class TestFormula:
    @given(pair=logit_pairs(-15, 15))
    @settings(max_examples=40, deadline=None)
    def test_the_value_is_the_textbook_s(self, name, pair):
        student, teacher = pair
        expected = [
            TEXTBOOK[name](softmax(t), softmax(s))
            for s, t in zip(student.astype(np.float64), teacher.astype(np.float64), strict=True)
        ]
        values = DIVERGENCES[name](torch.from_numpy(student), torch.from_numpy(teacher))
        assert values.dtype == torch.float32
        np.testing.assert_allclose(values.numpy(), expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
    def test_the_gradient_is_the_textbook_s_by_finite_differences(self, name, scale):
        source = np.random.default_rng(0)
        student, teacher = source.normal(size=(2, 3, 6)) * scale
        expected, step = np.zeros((3, 6)), 1e-5
        for token in range(3):
            p = softmax(teacher[token])
            for entry in range(6):
                up, down = student[token].copy(), student[token].copy()
                up[entry] += step
                down[entry] -= step
                difference = TEXTBOOK[name](p, softmax(up)) - TEXTBOOK[name](p, softmax(down))
                expected[token, entry] = difference / (2 * step)
        _, gradient = value_and_gradient(
            DIVERGENCES[name], torch.from_numpy(student), torch.from_numpy(teacher)
        )
        np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-4, atol=1e-6)

    def test_the_gradient_is_autograd_s_through_the_textbook_formula_at_many_entries(self, name):
        torch.manual_seed(0)
        student, teacher = torch.randn(2, 8, 500) * 3
        weights = torch.randn(8)
        wide = student.double().requires_grad_()
        p, q = teacher.double().softmax(-1), wide.softmax(-1)
        beta = {"jsd": 0.5, "jsd 0.1": 0.1, "jsd 0.9": 0.9}.get(name)
        half, mixed = (p + q) / 2, (beta or 0) * p + (1 - (beta or 0)) * q
        kl = lambda a, b: (a * (a / b).log()).sum(-1)  # noqa: E731
        values = {
            "fkl": lambda: kl(p, q),
            "rkl": lambda: kl(q, p),
            "teacher to mixture": lambda: kl(p, half),
            "student to mixture": lambda: kl(q, half),
            "skew": lambda: kl(p, 0.1 * p + 0.9 * q),
            "skew reverse": lambda: kl(q, 0.9 * p + 0.1 * q),
            "skew reverse 0.7": lambda: kl(q, 0.3 * p + 0.7 * q),
            "tvd": lambda: (p - q).abs().sum(-1) / 2,
        }.get(name, lambda: beta * kl(p, mixed) + (1 - beta) * kl(q, mixed))()
        (expected,) = torch.autograd.grad((values * weights).sum(), wide)
        narrow = student.clone().requires_grad_()
        (gradient,) = torch.autograd.grad((DIVERGENCES[name](narrow, teacher) * weights).sum(), narrow)
        torch.testing.assert_close(gradient.double(), expected, rtol=1e-4, atol=1e-6)


class TestKnownNumbers:
    """p = (1/2, 1/2), q = (3/4, 1/4): worked out by hand."""

    student, teacher = torch.tensor([[3.0, 1.0]]).log(), torch.tensor([[1.0, 1.0]]).log()

    def test_fkl(self):
        expected = 0.5 * math.log(2 / 3) + 0.5 * math.log(2)
        assert divergences.forward_kl(self.student, self.teacher).item() == pytest.approx(expected, abs=1e-6)

    def test_rkl(self):
        expected = 0.75 * math.log(3 / 2) + 0.25 * math.log(1 / 2)
        assert divergences.reverse_kl(self.student, self.teacher).item() == pytest.approx(expected, abs=1e-6)

    def test_jsd_takes_beta_of_the_teacher(self):
        # beta 1/4: m = (1/8 + 9/16, 1/8 + 3/16) = (11/16, 5/16)
        to_teacher = 0.5 * math.log(8 / 11) + 0.5 * math.log(8 / 5)
        to_student = 0.75 * math.log(12 / 11) + 0.25 * math.log(4 / 5)
        value = divergences.jensen_shannon(self.student, self.teacher, beta=0.25).item()
        assert value == pytest.approx(to_teacher / 4 + 3 * to_student / 4, abs=1e-6)

    def test_tvd(self):
        assert divergences.total_variation(self.student, self.teacher).item() == pytest.approx(0.25)

    def test_entropy(self):
        expected = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
        assert divergences.entropy(self.student).item() == pytest.approx(expected, abs=1e-6)


class TestJensenShannon:
    def test_the_ends_of_beta_are_forward_and_reverse_kl(self):
        student, teacher = torch.randn(2, 4, 9)
        forward, reverse = (divergences.jensen_shannon(student, teacher, beta=beta) for beta in (0, 1))
        assert torch.equal(forward, divergences.forward_kl(student, teacher))
        assert torch.equal(reverse, divergences.reverse_kl(student, teacher))

    def test_near_the_ends_it_is_their_multiple(self):
        student, teacher = torch.randn(2, 4, 9)
        near = divergences.jensen_shannon(student, teacher, beta=1e-3) / 1e-3
        torch.testing.assert_close(near, divergences.forward_kl(student, teacher), rtol=0.02, atol=1e-3)

    @pytest.mark.parametrize("beta", [-0.1, 1.1, math.nan])
    def test_beta_beyond_0_and_1_is_an_error(self, beta):
        with pytest.raises(ValueError, match="beta"):
            divergences.jensen_shannon(torch.zeros(1, 2), torch.zeros(1, 2), beta=beta)

    def test_its_two_halves_are_f_distill_s(self):
        student, teacher = torch.randn(2, 4, 9)
        halves = divergences.teacher_to_mixture_kl(student, teacher) + divergences.student_to_mixture_kl(
            student, teacher
        )
        torch.testing.assert_close(halves / 2, divergences.jensen_shannon(student, teacher))


class TestSkew:
    def test_without_skew_they_are_forward_and_reverse_kl(self):
        student, teacher = torch.randn(2, 4, 9)
        forward, reverse = divergences.skew_kl, divergences.skew_reverse_kl
        assert torch.equal(forward(student, teacher, 0), divergences.forward_kl(student, teacher))
        assert torch.equal(reverse(student, teacher, 0), divergences.reverse_kl(student, teacher))

    def test_by_hand(self):
        # p = (1/2, 1/2), q = (3/4, 1/4): p/4 + 3q/4 = (11/16, 5/16), 3p/4 + q/4 = (9/16, 7/16)
        models = TestKnownNumbers.student, TestKnownNumbers.teacher
        expected = 0.5 * math.log(8 / 11) + 0.5 * math.log(8 / 5)
        assert divergences.skew_kl(*models, 0.25).item() == pytest.approx(expected, abs=1e-6)
        expected = 0.75 * math.log(4 / 3) + 0.25 * math.log(4 / 7)
        assert divergences.skew_reverse_kl(*models, 0.25).item() == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize("alpha", [-0.1, 1, math.nan])
    def test_alpha_beyond_its_range_is_an_error(self, alpha):
        for function in (divergences.skew_kl, divergences.skew_reverse_kl):
            with pytest.raises(ValueError, match="alpha must be from 0 to below 1"):
                function(torch.zeros(1, 2), torch.zeros(1, 2), alpha)


class TestEntropy:
    @given(pair=logit_pairs(-15, 15))
    @settings(max_examples=30, deadline=None)
    def test_it_is_the_textbook_s(self, pair):
        logits = pair[0].astype(np.float64)
        expected = [-np.sum(softmax(row) * np.log(softmax(row))) for row in logits]
        np.testing.assert_allclose(
            divergences.entropy(torch.from_numpy(pair[0])).numpy(), expected, atol=1e-5
        )

    def test_a_certain_token_has_none(self):
        logits = torch.tensor([[0.0, -torch.inf, -torch.inf], [1e30, 0.0, -1e30]])
        assert divergences.entropy(logits).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("name", "beta"), [("fkl", 0.0), ("rkl", 1.0), ("jsd", 0.5), ("jsd 0.1", 0.1), ("jsd 0.9", 0.9)]
)
def test_trl_gives_the_same_loss_and_gradient(name, beta, monkeypatch):
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    trl = pytest.importorskip("trl.experimental.gkd", reason="TRL is in the test extra")
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 2, 5, 40) * 2
    labels = torch.randint(0, 40, (2, 5))
    labels[0, 3:] = -100
    theirs = student.clone().requires_grad_()
    loss = trl.GKDTrainer.generalized_jsd_loss(theirs, teacher, labels=labels, beta=beta)
    (expected,) = torch.autograd.grad(loss, theirs)
    ours = student.clone().requires_grad_()
    scored = labels != -100
    mean = DIVERGENCES[name](ours[scored], teacher[scored]).mean()
    (gradient,) = torch.autograd.grad(mean, ours)
    torch.testing.assert_close(mean, loss, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-7)
