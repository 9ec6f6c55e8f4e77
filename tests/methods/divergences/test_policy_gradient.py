"""Importance weights and the clipped policy gradient, against formulas in float64."""

import numpy as np
import pytest
import torch

from kdzoo import divergences

TOKENS = torch.tensor([0, 3, 8, 2, 5, 1])


@pytest.fixture
def logits():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 6, 9) * 2
    return student, teacher


def probabilities(logits):
    wide = logits.double().numpy()
    return (np.exp(wide) / np.exp(wide).sum(-1, keepdims=True))[np.arange(6), TOKENS]


class TestImportanceWeight:
    @pytest.mark.parametrize("share", [0.0, 0.2, 0.9])
    def test_it_is_the_student_s_share_of_the_mixture(self, logits, share):
        q, p = (probabilities(side) for side in logits)
        given = divergences.importance_weight(*logits, TOKENS, share)
        np.testing.assert_allclose(given.numpy(), q / (share * p + (1 - share) * q), rtol=1e-5)

    def test_it_has_no_gradient(self, logits):
        student = logits[0].requires_grad_()
        assert not divergences.importance_weight(student, logits[1], TOKENS, 0.2).requires_grad

    def test_what_only_one_model_can_give_has_the_weight_of_its_limit(self):
        only = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]])
        first = torch.zeros(2, dtype=torch.long)
        given = divergences.importance_weight(only, only.flip(0), first, 0.2)
        assert given.tolist() == pytest.approx([1 / 0.8, 0])

    @pytest.mark.parametrize("share", [1.0, -0.1, float("nan")])
    def test_a_mixture_without_the_student_is_refused(self, logits, share):
        with pytest.raises(ValueError, match="share must be from 0 to below 1"):
            divergences.importance_weight(*logits, TOKENS, share)


class TestClippedPolicyGradient:
    advantage = torch.tensor([2.0, -2.0, 1.0, -1.0, 0.5, 0.0])
    weight = torch.tensor([1.25, 1.25, 0.3, 0.3, 1.0, 1.0])

    def test_value_and_gradient_are_those_of_ppo_at_its_first_update(self, logits):
        """As microsoft/LMOps writes it: the importance weight is part of the ratio that is clipped."""
        leaf = logits[0].clone().requires_grad_()
        given = divergences.clipped_policy_gradient(leaf, TOKENS, self.advantage, self.weight, 0.2)
        (gradient,) = torch.autograd.grad(given.sum(), leaf)

        wide = logits[0].double().requires_grad_()
        q = wide.softmax(-1)[torch.arange(6), TOKENS]
        ratio = q / q.detach() * self.weight
        unclipped, clipped = -self.advantage * ratio, -self.advantage * torch.clamp(ratio, 0.8, 1.2)
        expected = torch.max(unclipped, clipped)
        (slope,) = torch.autograd.grad(expected.sum(), wide)
        torch.testing.assert_close(given.double(), expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(gradient.double(), slope, rtol=1e-4, atol=1e-6)

    def test_by_hand_it_pushes_no_further_what_is_out_of_range(self, logits):
        leaf = logits[0].clone().requires_grad_()
        given = divergences.clipped_policy_gradient(leaf, TOKENS, self.advantage, self.weight, 0.2)
        torch.testing.assert_close(given, torch.tensor([-2.4, 2.5, -0.3, 0.8, -0.5, 0.0]))
        (gradient,) = torch.autograd.grad(given.sum(), leaf)
        assert gradient.abs().sum(1).bool().tolist() == [False, True, True, False, True, False]
