"""The divergence from an intermediate teacher equals its formula in float64, in which that teacher is a constant."""

import math

import pytest
import torch
from logits_of_tokens import value_and_gradient

from kdzoo import divergences


def kl(student, teacher, t):
    p_t = ((1 - t) * student.detach() + t * teacher).softmax(-1)
    return (p_t * (p_t.log() - student.log_softmax(-1))).sum(-1)


def cross_entropy(student, teacher, t):
    p_t = ((1 - t) * student.detach() + t * teacher).softmax(-1)
    return -(p_t * student.log_softmax(-1)).sum(-1)


@pytest.mark.parametrize("t", [0.0, 0.2, 0.4, 0.99, 1.0])
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
@pytest.mark.parametrize(
    ("function", "formula"),
    [
        (divergences.intermediate_teacher_kl, kl),
        (divergences.intermediate_teacher_cross_entropy, cross_entropy),
    ],
    ids=["kl", "cross entropy"],
)
def test_value_and_gradient_are_those_of_the_formula(function, formula, scale, t):
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 12, 30) * scale
    weights = torch.randn(12)
    found = value_and_gradient(lambda s, p: function(s, p, t), student, teacher, weights)
    wide = student.double(), teacher.double(), weights.double()
    expected = value_and_gradient(lambda s, p: formula(s, p, t), *wide)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-6)


def test_all_the_way_it_is_the_teacher():
    student, teacher = torch.randn(2, 4, 9)
    found = divergences.intermediate_teacher_kl(student, teacher, 1)
    torch.testing.assert_close(found, divergences.forward_kl(student, teacher))


def test_by_hand():
    # odds of q 9 : 1, of p 1 : 1, half way in logits 3 : 1
    student, teacher = torch.tensor([[9.0, 1.0]]).log(), torch.zeros(1, 2)
    value, gradient = value_and_gradient(
        lambda s, p: divergences.intermediate_teacher_kl(s, p, 0.5), student, teacher
    )
    assert value.item() == pytest.approx(0.75 * math.log(0.75 / 0.9) + 0.25 * math.log(0.25 / 0.1))
    assert gradient[0].tolist() == pytest.approx([0.9 - 0.75, 0.1 - 0.25])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_cross_entropy_of_impossible_tokens_is_finite(dtype):
    student = torch.tensor([[0.0, -torch.inf, 1e30, 0.0]], dtype=dtype)
    teacher = torch.tensor([[0.0, 0.0, -torch.inf, -torch.inf]], dtype=dtype)
    value, gradient = value_and_gradient(
        lambda s, p: divergences.intermediate_teacher_cross_entropy(s, p, 0.4), student, teacher
    )
    assert value.isfinite().all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("t", [-0.1, 1.1, math.nan])
def test_t_beyond_0_and_1_is_an_error(t):
    for function in (divergences.intermediate_teacher_kl, divergences.intermediate_teacher_cross_entropy):
        with pytest.raises(ValueError, match="t must lie between 0 and 1"):
            function(torch.zeros(1, 2), torch.zeros(1, 2), t)
