"""Methods made in a test, and what the checks say of one that breaks a rule."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from kdzoo import Method, StepCost, divergences, hookimpl
from kdzoo.testing import MethodCheckError, Outcome, check_method

Hook = Callable[..., Any]


def described(**changes: Any) -> Method:
    right = Method("mine", "A method of a test.", "-", "ground truth", "KL(p‖q)", "-", StepCost())
    return replace(right, **changes)


def module(*hooks: Hook, method: Any = None) -> types.ModuleType:
    """A plugin with these hooks, named as they are."""
    made = types.ModuleType("mine")

    def register_method() -> Any:
        return described() if method is None else method

    made.register_method = hookimpl(register_method)
    for hook in hooks:
        setattr(made, hook.__name__, hookimpl(hook))
    return made


def divergence(student_logits: torch.Tensor, teacher_logits: torch.Tensor) -> torch.Tensor:
    return divergences.forward_kl(student_logits, teacher_logits)


def aux_loss(step: Any) -> torch.Tensor:
    return step.student.cross_entropy(step.target)


def failures(made: types.ModuleType, **settings: Any) -> dict[str, str]:
    """The checks that this method does not pass, without those that could not be run, and their reasons."""
    with pytest.raises(MethodCheckError) as caught:
        check_method(made, **settings)
    told = {
        result.name: result
        for result in caught.value.results
        if result.outcome in (Outcome.FAILED, Outcome.NOT_RUN)
    }
    assert all(f"{name}: {result.reason}" in str(caught.value) for name, result in told.items())
    return {name: result.reason for name, result in told.items() if result.outcome is Outcome.FAILED}


def breaks(*hooks: Hook, by: str, words: str, method: Any = None, **settings: Any) -> None:
    """A method with these hooks is caught by that check and by no other, which says these words."""
    found = failures(module(*hooks, method=method), **settings)
    assert list(found) == [by]
    assert words in found[by]
