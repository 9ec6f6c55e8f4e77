"""Checks of ``aux_loss``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from kdzoo.testing.case import SEEDS, Case
from kdzoo.testing.check import Check
from kdzoo.testing.check_sequences import (
    sequences_are_made,
    sequences_are_of_the_vocabulary,
    sequences_fit_their_prompts,
    sequences_leave_the_target_alone,
)
from kdzoo.testing.table_model import RandomBatch


def aux_loss_gives_a_tensor_or_none(case: Case) -> None:
    """It can be called, and gives a tensor or None."""
    for _, loss in _losses(case):
        assert isinstance(loss, Tensor), f"{case.name}: aux_loss must give a tensor or None, not {loss!r}"


def aux_loss_is_one_number(case: Case) -> None:
    """It is a scalar."""
    for _, loss in _losses(case):
        assert loss.numel() == 1, f"{case.name}: aux_loss must give one number, not {list(loss.shape)}"


def aux_loss_is_finite(case: Case) -> None:
    """It is not infinite, and a number."""
    for _, loss in _losses(case):
        assert bool(loss.isfinite()), f"{case.name}: aux_loss gave {loss.item()}"


def aux_loss_trains_the_student(case: Case) -> None:
    """It has a gradient with respect to the student's weights."""
    for batch, loss in _losses(case):
        gradient = None
        if loss.requires_grad:
            (gradient,) = torch.autograd.grad(loss, batch.student.table, allow_unused=True)
        assert gradient is not None, f"{case.name}: aux_loss gives the student no gradient"


def aux_loss_adds_up(case: Case) -> None:
    """Over the parts of a split batch, weighted by their targets' tokens, it is that of the whole."""
    for batch, whole in _losses(case):
        count, summed = 0, 0.0
        for rows in ([0, 1], [2, 3, 4]):
            step = case.step(batch, rows)
            loss, tokens = case.aux_loss(step), int(step.target.lengths.sum())
            count += tokens
            summed += 0.0 if loss is None else loss.item() * tokens
        assert abs(summed / count - whole.item()) <= 1e-6 * max(1.0, abs(whole.item())), (
            f"{case.name}: the aux_loss of a split batch, weighted by the targets' tokens, does not add up "
            "to that of the whole: it must be a mean over the ground truth's tokens"
        )


def _losses(case: Case) -> Iterator[tuple[RandomBatch, Any]]:
    """What the hook gives for several batches in float64, but for None."""
    for seed in SEEDS:
        batch = RandomBatch(seed=seed, dtype=torch.float64)
        loss = case.aux_loss(case.step(batch))
        if loss is not None:
            yield batch, loss


def _has_one(case: Case) -> bool:
    return case.implements("aux_loss")


_NUMBER = (aux_loss_is_one_number,)

CHECKS = [
    Check(
        aux_loss_gives_a_tensor_or_none,
        needs=(sequences_are_made, sequences_fit_their_prompts, sequences_are_of_the_vocabulary),
        applies=_has_one,
    ),
    Check(aux_loss_is_one_number, needs=(aux_loss_gives_a_tensor_or_none,), applies=_has_one),
    Check(aux_loss_is_finite, needs=_NUMBER, applies=_has_one),
    Check(aux_loss_trains_the_student, needs=_NUMBER, applies=_has_one),
    Check(
        aux_loss_adds_up,
        needs=(*_NUMBER, aux_loss_is_finite, sequences_leave_the_target_alone),
        applies=_has_one,
    ),
]
