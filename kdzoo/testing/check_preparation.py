"""Checks of ``prepare``, which is called before anything else."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from kdzoo.testing.case import SEEDS, Case
from kdzoo.testing.check import Check
from kdzoo.testing.global_generators import global_generators, global_generators_kept
from kdzoo.testing.table_model import RandomBatch


def prepare_gives_a_row_for_each_prompt(case: Case) -> None:
    """It gives tensors by name, the first dimension of which is that of the prompts."""
    for seed in SEEDS:
        batch = RandomBatch(seed=seed)
        given = case.prepare(batch)
        assert isinstance(given, Mapping), (
            f"{case.name}: prepare must give tensors by name, not {type(given).__name__}"
        )
        for name, value in given.items():
            fits = isinstance(value, Tensor) and value.dim() > 0 and value.shape[0] == batch.rows
            assert fits, (
                f"{case.name}: prepare: {name!r} must be a tensor with a row for each of the {batch.rows} prompts"
            )


def prepare_draws_from_the_step(case: Case) -> None:
    """No global generator moves."""
    for seed in SEEDS:
        with global_generators_kept():
            before = global_generators()
            case.prepare(RandomBatch(seed=seed))
            assert global_generators() == before, (
                f"{case.name}: prepare draws from a global generator; use step.generator"
            )


def prepared_rows_do_not_depend_on_other_rows(case: Case) -> None:
    """A row is the same however its batch is split, but for zeros at the end."""
    for seed in SEEDS:
        batch = RandomBatch(seed=seed)
        whole = case.prepare(batch)
        for part in ([3], [1, 4, 0], [2]):
            given = case.prepare(batch, part)
            for name, value in whole.items():
                for row, number in enumerate(part):
                    assert _same_but_for_padding(given[name][row], value[number]), (
                        f"{case.name}: prepare gives another {name!r} for a prompt when its batch is split"
                    )


def _same_but_for_padding(one: Tensor, other: Tensor) -> bool:
    shape = [max(sizes) for sizes in zip(one.shape, other.shape, strict=True)]
    return bool(torch.allclose(_padded(one, shape).double(), _padded(other, shape).double(), rtol=1e-5))


def _padded(tensor: Tensor, shape: list[int]) -> Tensor:
    padded = tensor.new_zeros(shape)
    padded[tuple(slice(size) for size in tensor.shape)] = tensor
    return padded


def _has_one(case: Case) -> bool:
    return case.implements("prepare")


CHECKS = [
    Check(prepare_gives_a_row_for_each_prompt, applies=_has_one),
    Check(prepare_draws_from_the_step, needs=(prepare_gives_a_row_for_each_prompt,), applies=_has_one),
    # what is drawn elsewhere differs from call to call
    Check(
        prepared_rows_do_not_depend_on_other_rows,
        needs=(prepare_gives_a_row_for_each_prompt, prepare_draws_from_the_step),
        applies=_has_one,
    ),
]
