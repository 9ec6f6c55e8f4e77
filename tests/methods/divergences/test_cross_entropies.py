"""Cross entropies take tokens for the teacher, and are what their names say; their formulas are tested in closed form."""

import math

import pytest
import torch

from kdzoo import divergences

# q = (1/2, 1/4, 1/4)
STUDENT = torch.tensor([[2.0, 1.0, 1.0], [2.0, 1.0, 1.0]]).log()


def test_the_cross_entropy_is_minus_log_q_of_the_token():
    values = divergences.cross_entropy(STUDENT, torch.tensor([0, 2]))
    assert values.tolist() == pytest.approx([math.log(2), math.log(4)])


def test_the_sparse_cross_entropy_weighs_several():
    tokens, weights = torch.tensor([[0, 1], [2, 2]]), torch.tensor([[0.25, 0.75], [0.5, 1.0]])
    values = divergences.sparse_cross_entropy(STUDENT, tokens, weights)
    assert values.tolist() == pytest.approx([0.25 * math.log(2) + 0.75 * math.log(4), 1.5 * math.log(4)])


def test_over_all_tokens_it_has_the_gradient_of_the_forward_kl():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 4, 9)
    every = torch.arange(9).expand(4, 9)
    gradients = []
    for function in (
        lambda z: divergences.sparse_cross_entropy(z, every, teacher.softmax(-1)),
        lambda z: divergences.forward_kl(z, teacher),
    ):
        leaf = student.clone().requires_grad_()
        gradients += torch.autograd.grad(function(leaf).sum(), leaf)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)
