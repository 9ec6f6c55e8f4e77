"""The rules of kdzoo's methods, one test each, and the loss computed again in another way."""

from __future__ import annotations

import math

import kdzoo_mymethod
import pytest
import torch

from kdzoo.testing import MethodCheck, method_checks


@pytest.mark.parametrize("check", method_checks("mymethod"), ids=str)
def test_it_keeps_the_rules(check: MethodCheck) -> None:
    check()


@pytest.mark.parametrize("forward_share", [0.0, 0.25, 1.0])
def test_the_divergence_is_its_formula_in_float64(forward_share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 5, 7, dtype=torch.float64, generator=generator)
    options = kdzoo_mymethod.MyOptions(forward_share=forward_share)
    losses = kdzoo_mymethod.divergence(student, teacher, options)
    for token in range(5):
        q, p = student[token].softmax(-1).tolist(), teacher[token].softmax(-1).tolist()
        forward = sum(p[v] * math.log(p[v] / q[v]) for v in range(7))
        reverse = sum(q[v] * math.log(q[v] / p[v]) for v in range(7))
        expected = forward_share * forward + (1 - forward_share) * reverse
        assert losses[token].item() == pytest.approx(expected, rel=1e-4, abs=1e-6)
