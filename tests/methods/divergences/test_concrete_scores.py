"""The concrete score's divergence equals the sum over all pairs in float64, and the public code's gradient."""

import math

import pytest
import torch
from logits_of_tokens import value_and_gradient

from kdzoo import divergences

WEIGHTS = {
    "student": lambda student, teacher, temperature: (student / temperature).softmax(-1),
    "teacher": lambda student, teacher, temperature: teacher.softmax(-1),
    "uniform": lambda student, teacher, temperature: torch.full_like(student, 1 / student.shape[-1]),
}


def over_all_pairs(w1, w2, temperature):
    """Half of Kim et al.'s equation 8, over all pairs (y, x); the weights are constants."""

    def divergence(student, teacher):
        first, second = (WEIGHTS[w](student, teacher, temperature).detach() for w in (w1, w2))
        difference = student - teacher
        residual = difference[:, None, :] - difference[:, :, None]
        pairs = first[:, :, None] * second[:, None, :] * residual**2
        return pairs.sum((1, 2)) / 4

    return divergence


def of_its_code(w1, w2, temperature):
    """What the public code of the paper (aailab-kaist/CSD) gives to autograd: of it only the gradient means anything."""

    def surrogate(student, teacher):
        weights = [WEIGHTS[w](student, teacher, temperature).detach() for w in (w1, w2)]
        difference = student - teacher
        total = 0
        for one, other in (weights, weights[::-1]):
            centred = difference - (one * difference).sum(-1, keepdim=True)
            total = total + (centred.detach() * other * student).sum(-1) / 2
        return total

    return surrogate


@pytest.fixture
def logits():
    torch.manual_seed(0)
    return torch.randn(2, 8, 30)


@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("temperature", [1.0, 1.5])
@pytest.mark.parametrize("w2", WEIGHTS)
@pytest.mark.parametrize("w1", WEIGHTS)
def test_value_and_gradient_are_those_of_all_pairs(w1, w2, temperature, scale, logits):
    student, teacher = logits * scale
    weights = torch.randn(8)
    value, gradient = value_and_gradient(
        lambda s, t: divergences.concrete_score(s, t, w1, w2, temperature), student, teacher, weights
    )
    formula = over_all_pairs(w1, w2, temperature)
    wide = student.double(), teacher.double(), weights.double()
    expected, slope = value_and_gradient(formula, *wide)
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient.double(), slope, rtol=1e-4, atol=2e-6)
    _, of_code = value_and_gradient(of_its_code(w1, w2, temperature), *wide)
    torch.testing.assert_close(gradient.double(), of_code, rtol=1e-4, atol=2e-6)


def test_with_the_student_s_weights_its_gradient_is_that_of_the_reverse_kl(logits):
    student, teacher = logits * 3
    value, gradient = value_and_gradient(divergences.concrete_score, student, teacher)
    reverse, of_reverse = value_and_gradient(divergences.reverse_kl, student, teacher)
    torch.testing.assert_close(gradient, of_reverse, rtol=1e-4, atol=1e-6)
    assert (value - reverse).abs().min() > 1e-3  # the values are others


def test_a_constant_added_to_all_logits_changes_nothing(logits):
    student, teacher = logits
    before = divergences.concrete_score(student, teacher, "teacher", "uniform")
    after = divergences.concrete_score(student + 5, teacher - 3, "teacher", "uniform")
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_by_hand():
    # differences of 0 and 2 under uniform weights: the pairs (0, 1) and (1, 0) of weight 1/4 each, squares of 4
    student, teacher = torch.tensor([[1.0, 3.0]]), torch.tensor([[1.0, 1.0]])
    value = divergences.concrete_score(student, teacher, "uniform", "uniform").item()
    assert value == pytest.approx((4 + 4) / 4 / 4, abs=1e-6)


@pytest.mark.parametrize("temperature", [0, -1, math.nan])
def test_a_temperature_that_is_not_positive_is_an_error(temperature):
    with pytest.raises(ValueError, match="temperature"):
        divergences.concrete_score(torch.zeros(1, 2), torch.zeros(1, 2), temperature=temperature)
