"""Divergences at one token of each position equal their formulas in float64; together they make up the KL divergences."""

import math

import pytest
import torch
from logits_of_tokens import value_and_gradient

from kdzoo import divergences


def policy_gradient(student, teacher, tokens):
    """The surrogate loss -A log q(y), whose advantage A is a constant; tokens [N]."""
    log_q = student.log_softmax(-1).gather(1, tokens[:, None])[:, 0]
    log_p = teacher.log_softmax(-1).gather(1, tokens[:, None])[:, 0]
    return -(log_p - log_q).detach() * log_q


def binary_kl(student, teacher, tokens):
    p, q = (logits.softmax(-1).gather(1, tokens[:, None])[:, 0] for logits in (teacher, student))
    return p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()


def kl_without(student, teacher, tokens):
    others = torch.ones_like(student).scatter(1, tokens[:, None], 0).bool()
    p, q = (logits[others].reshape(len(tokens), -1).softmax(-1) for logits in (teacher, student))
    return (p * (p / q).log()).sum(-1)


@pytest.fixture
def logits():
    torch.manual_seed(0)
    return torch.randn(2, 12, 30)


@pytest.fixture
def tokens():
    return torch.randint(30, (12,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
@pytest.mark.parametrize(
    ("function", "formula"),
    [(divergences.target_kl, binary_kl), (divergences.non_target_kl, kl_without)],
    ids=["target", "not target"],
)
def test_target_and_rest_are_those_of_the_formulas(function, formula, scale, logits, tokens):
    student, teacher = logits * scale
    weights = torch.randn(12)
    found = value_and_gradient(lambda s, t: function(s, t, tokens), student, teacher, weights)
    wide = student.double(), teacher.double(), weights.double()
    expected = value_and_gradient(lambda s, t: formula(s, t, tokens), *wide)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-6)


def test_the_forward_kl_is_made_up_of_both(logits, tokens):
    student, teacher = logits * 2
    uncertainty = 1 - teacher.softmax(-1).gather(1, tokens[:, None])[:, 0]

    def sum_of_both(student, teacher):
        rest = divergences.non_target_kl(student, teacher, tokens)
        return divergences.target_kl(student, teacher, tokens) + uncertainty * rest

    found = value_and_gradient(sum_of_both, student, teacher)
    for ours, theirs in zip(found, value_and_gradient(divergences.forward_kl, student, teacher), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


class TestCertainty:
    """Models that give all but nothing, or nothing, to the tokens beside the target."""

    target = torch.tensor([0])

    def test_what_is_left_beside_an_almost_certain_target_is_not_lost(self):
        student, teacher = torch.tensor([[0.0, -30.0, -31.0]]), torch.tensor([[0.0, -28.0, -31.0]])
        for function, formula in (
            (divergences.target_kl, binary_kl),
            (divergences.non_target_kl, kl_without),
        ):
            _, gradient = value_and_gradient(lambda s, t, f=function: f(s, t, self.target), student, teacher)
            wide = student.double(), teacher.double()
            _, expected = value_and_gradient(lambda s, t, f=formula: f(s, t, self.target), *wide)
            # of 1e-12 for the one, so that 1 - q(y) must not be a difference in float32
            torch.testing.assert_close(gradient.double(), expected, rtol=1e-3, atol=1e-16)

    def test_the_rest_is_normalised_in_full_precision(self):
        # all of the rest alike in both models, and next to nothing of it left in one
        equal, sure = torch.zeros(1, 4), torch.tensor([[-34.0, 0.0, -34.0, -34.0]])
        for models in ((equal, sure), (sure, equal)):
            assert divergences.non_target_kl(*models, torch.tensor([1])).abs().item() < 1e-6

    def test_a_teacher_that_is_certain_says_nothing_of_the_rest(self):
        teacher = torch.tensor([[0.0, -torch.inf, -torch.inf]])
        value, gradient = value_and_gradient(
            lambda s, t: divergences.non_target_kl(s, t, self.target), torch.randn(1, 3), teacher
        )
        assert value.item() == 0
        assert not gradient.any()


class TestSampled:
    def test_the_value_is_the_log_ratio_and_the_gradient_the_policy_gradient(self, logits, tokens):
        student, teacher = logits * 2
        weights = torch.randn(12)
        value, gradient = value_and_gradient(
            lambda s, t: divergences.sampled_reverse_kl(s, t, tokens), student, teacher, weights
        )
        wide = student.double(), teacher.double()
        ratio = wide[0].log_softmax(-1) - wide[1].log_softmax(-1)
        torch.testing.assert_close(
            value.double(), ratio.gather(1, tokens[:, None])[:, 0], rtol=1e-5, atol=1e-6
        )
        _, expected = value_and_gradient(lambda s, t: policy_gradient(s, t, tokens), *wide, weights.double())
        torch.testing.assert_close(gradient.double(), expected, rtol=1e-4, atol=1e-6)

    def test_over_the_student_s_samples_it_is_the_reverse_kl_and_has_its_gradient(self):
        torch.manual_seed(0)
        student, teacher = torch.randn(2, 1, 6) * 2
        q = student.softmax(-1)[0]
        mean, slope = 0.0, torch.zeros(1, 6)
        for token in range(6):  # every sample, as often as it is drawn
            y = torch.tensor([token])
            value, gradient = value_and_gradient(
                lambda s, t, y=y: divergences.sampled_reverse_kl(s, t, y), student, teacher
            )
            mean += q[token] * value
            slope += q[token] * gradient
        expected, of_expected = value_and_gradient(divergences.reverse_kl, student, teacher)
        torch.testing.assert_close(mean, expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(slope, of_expected, rtol=1e-4, atol=1e-6)

    def test_by_hand(self):
        # q = (3/4, 1/4), p = (1/2, 1/2), y the first: A = log(2/3)
        student, teacher = torch.tensor([[3.0, 1.0]]).log(), torch.tensor([[1.0, 1.0]]).log()
        value, gradient = value_and_gradient(
            lambda s, t: divergences.sampled_reverse_kl(s, t, torch.tensor([0])), student, teacher
        )
        assert value.item() == pytest.approx(math.log(3 / 2), abs=1e-6)
        assert gradient[0].tolist() == pytest.approx([math.log(3 / 2) / 4, -math.log(3 / 2) / 4], abs=1e-6)
