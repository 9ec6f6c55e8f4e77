"""Checks of ``aux_loss``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from kdzoo.methods.loss_sum import LossSum, terms_of
from kdzoo.testing.case import SEEDS, Case
from kdzoo.testing.check import Check
from kdzoo.testing.check_sequences import (
    sequences_are_of_the_vocabulary,
    sequences_fit_their_prompts,
    sequences_leave_the_target_alone,
)
from kdzoo.testing.check_state import sequences_are_made
from kdzoo.testing.table_model import RandomBatch, TableStep


def aux_loss_gives_a_tensor_or_none(case: Case) -> None:
    """It can be called, and gives a tensor, a LossSum, several of them or None."""
    for _, loss in _losses(case):
        assert isinstance(loss, Tensor), (
            f"{case.name}: aux_loss must give a tensor, a kdzoo.LossSum of one, a list of these, or None, not {loss!r}"
        )


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
            # terms may share a part of the graph
            (gradient,) = torch.autograd.grad(loss, batch.student.table, allow_unused=True, retain_graph=True)
        assert gradient is not None, f"{case.name}: aux_loss gives the student no gradient"


def aux_loss_adds_up(case: Case) -> None:
    """A mean over the parts of a split batch, weighted by the numbers that it is a mean over, is that of the whole."""
    for batch, _ in _losses(case):
        whole, *parts = (_sums(case, case.step(batch, rows)) for rows in (None, [0, 1], [2, 3, 4]))
        assert all(len(part) == len(whole) for part in parts), (
            f"{case.name}: aux_loss gives {len(whole)} terms, and others for a part of the batch"
        )
        for (total, number), *of_parts in zip(whole, *parts, strict=True):
            mean = total / number
            added = sum(total for total, _ in of_parts) / sum(count for _, count in of_parts)
            assert abs(added - mean) <= 1e-6 * max(1.0, abs(mean)), (
                f"{case.name}: the aux_loss of a split batch, weighted by the targets' tokens or by what a LossSum says, "
                "does not add up to that of the whole: it must be a mean over the ground truth's tokens, or a kdzoo.LossSum"
            )


def _losses(case: Case) -> Iterator[tuple[RandomBatch, Any]]:
    """Each term that the hook gives for several batches in float64; of a LossSum its total."""
    for seed in SEEDS:
        batch = RandomBatch(seed=seed, dtype=torch.float64)
        for term in terms_of(case.aux_loss(case.step(batch))):
            yield batch, term.total if isinstance(term, LossSum) else term


def _sums(case: Case, step: TableStep) -> list[tuple[float, int]]:
    """Each term as a sum, and the number that the core would divide it by."""
    terms = terms_of(case.aux_loss(step))
    numbers = {
        "target_token": int(step.target.lengths.sum()),
        "scored_token": int(step.training_sequence.lengths.sum()),
        "prompt": len(step.examples),
    }
    targets = numbers["target_token"]
    return [
        (term.total.item(), numbers[term.per])
        if isinstance(term, LossSum)
        else (term.item() * targets, targets)
        for term in terms
    ]


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
