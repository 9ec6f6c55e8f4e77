"""Checks of ``divergence``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kdzoo.testing.case import Case
from kdzoo.testing.check import Check
from kdzoo.testing.check_sequences import (
    sequences_are_of_the_vocabulary,
    sequences_fit_their_prompts,
)
from kdzoo.testing.check_state import sequences_are_made
from kdzoo.testing.table_model import TableStep


def divergence_gives_a_tensor(case: Case) -> None:
    """It can be called with logits of float32 and of bfloat16, and gives a tensor."""
    for call in _calls(case):
        assert isinstance(call.losses, Tensor), (
            f"{case.name}: divergence must give a tensor, not {type(call.losses).__name__}"
        )


def divergence_gives_one_number_per_token(case: Case) -> None:
    """N scored tokens have N losses."""
    for call in _calls(case):
        assert call.losses.shape == (call.tokens,), (
            f"{case.name}: divergence must give one number per token, [{call.tokens}], not {list(call.losses.shape)}"
        )


def divergence_is_finite(case: Case) -> None:
    """No loss is infinite or not a number."""
    for call in _calls(case):
        assert bool(call.losses.isfinite().all()), (
            f"{case.name}: divergence is not finite on logits of {call.student.dtype}"
        )


def divergence_trains_the_student(case: Case) -> None:
    """It has a gradient with respect to the student's logits."""
    for call in _calls(case):
        assert call.gradient(call.student) is not None, (
            f"{case.name}: divergence gives the student no gradient"
        )


def divergence_has_a_finite_gradient(case: Case) -> None:
    """No part of the student's gradient is infinite or not a number."""
    for call in _calls(case):
        gradient = call.gradient(call.student)
        assert gradient is None or bool(gradient.isfinite().all()), (
            f"{case.name}: divergence has a gradient that is not finite"
        )


def divergence_does_not_train_the_teacher(case: Case) -> None:
    """It has no gradient with respect to the teacher's logits."""
    for call in _calls(case):
        gradient = call.gradient(call.teacher)
        assert gradient is None or not bool(gradient.any()), (
            f"{case.name}: divergence gives the teacher a gradient; use teacher_logits.detach()"
        )


def divergence_leaves_the_logits_alone(case: Case) -> None:
    """Neither model's logits are changed in place."""
    for call in _calls(case):
        for what in ("student", "teacher"):
            assert torch.equal(getattr(call, f"given_{what}"), getattr(call, what)), (
                f"{case.name}: divergence changes {what}_logits in place"
            )


def divergence_does_not_depend_on_other_tokens(case: Case) -> None:
    """A token's loss is the same whatever tokens it is computed with."""
    for step in case.steps():
        tokens = case.scored(case.make(step))
        student, teacher = _logits(step)
        parts = [slice(start, start + 3) for start in range(0, len(tokens), 3)]
        with torch.no_grad():
            whole = case.divergence(step, student.clone(), teacher.clone(), tokens)
            chunks = [
                case.divergence(step, student[part].clone(), teacher[part].clone(), tokens[part])
                for part in parts
            ]
        torch.testing.assert_close(
            torch.cat(chunks),
            whole,
            rtol=1e-4,
            atol=1e-6,
            msg=f"{case.name}: a token's divergence depends on the other tokens that it is computed with",
        )


def divergence_is_smallest_at_the_teacher(case: Case) -> None:
    """The loss is smallest, and without gradient, where student and teacher agree."""
    hint = (
        "where the student agrees with the teacher (if that is meant, Method.expected_failed_checks says so)"
    )
    for step in case.steps():
        tokens = case.scored(case.make(step))
        student, teacher = _logits(step)
        same = teacher.clone().requires_grad_()
        at_teacher = case.divergence(step, same.clone(), teacher.clone(), tokens)
        (gradient,) = torch.autograd.grad(at_teacher.sum(), same)
        elsewhere = case.divergence(step, student.clone(), teacher.clone(), tokens)
        assert bool((at_teacher <= elsewhere + 1e-5).all()), f"{case.name}: divergence is not smallest {hint}"
        assert gradient.abs().max().item() < 1e-4, f"{case.name}: divergence has a gradient {hint}"


@dataclass(frozen=True)
class _Call:
    """One call of the hook: logits [N, V] that gradients reach, the copies that it was given, and what came."""

    student: Tensor
    teacher: Tensor
    given_student: Tensor
    given_teacher: Tensor
    tokens: int
    losses: Any

    def gradient(self, logits: Tensor) -> Tensor | None:
        """The gradient of the losses' sum with respect to these logits, where there is one."""
        if not self.losses.requires_grad:
            return None
        (gradient,) = torch.autograd.grad(self.losses.sum(), logits, allow_unused=True)
        return gradient


def _calls(case: Case) -> Iterator[_Call]:
    for dtype in (torch.float32, torch.bfloat16):
        for step in case.steps():
            tokens = case.scored(case.make(step))
            student, teacher = (logits.to(dtype).requires_grad_() for logits in _logits(step))
            # copies, as autograd itself refuses changes in place of leaves, in words of its own
            given = student.clone(), teacher.clone()
            yield _Call(student, teacher, *given, len(tokens), case.divergence(step, *given, tokens))


def _logits(step: TableStep) -> tuple[Tensor, Tensor]:
    """Student's and teacher's logits of the scored tokens, [N, V], without gradients."""
    sequences = step.training_sequence
    with torch.no_grad():
        student, teacher = step.student.logits(sequences), step.teacher.logits(sequences)
    return student[sequences.mask], teacher[sequences.mask]


def _has_one(case: Case) -> bool:
    return case.implements("divergence")


_CALLED = (divergence_gives_a_tensor,)

CHECKS = [
    Check(
        divergence_gives_a_tensor,
        needs=(sequences_are_made, sequences_fit_their_prompts, sequences_are_of_the_vocabulary),
        applies=_has_one,
    ),
    Check(divergence_gives_one_number_per_token, needs=_CALLED, applies=_has_one),
    Check(divergence_is_finite, needs=_CALLED, applies=_has_one),
    Check(divergence_trains_the_student, needs=_CALLED, applies=_has_one),
    Check(divergence_has_a_finite_gradient, needs=(*_CALLED, divergence_is_finite), applies=_has_one),
    Check(divergence_does_not_train_the_teacher, needs=_CALLED, applies=_has_one),
    Check(divergence_leaves_the_logits_alone, needs=_CALLED, applies=_has_one),
    Check(
        divergence_does_not_depend_on_other_tokens,
        needs=(divergence_gives_one_number_per_token, divergence_is_finite),
        applies=_has_one,
    ),
    Check(
        divergence_is_smallest_at_the_teacher,
        needs=(
            divergence_trains_the_student,
            divergence_has_a_finite_gradient,
            divergence_leaves_the_logits_alone,
        ),
        applies=_has_one,
    ),
]
