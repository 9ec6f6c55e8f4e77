"""Checks of ``setup``, of the first training sequences made with what it gives, and of ``after_step``: all others need them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kdzoo.testing import check_preparation
from kdzoo.testing.case import SEEDS, Case
from kdzoo.testing.check import Check
from kdzoo.testing.table_model import RandomBatch


def setup_gives_a_module_or_none(case: Case) -> None:
    """What the method keeps is a torch.nn.Module."""
    state = case.state(RandomBatch())
    assert state is None or isinstance(state, nn.Module), (
        f"{case.name}: setup must give a torch.nn.Module or None, not {type(state).__name__}"
    )


def setup_depends_on_the_seed_alone(case: Case) -> None:
    """Set up twice with the global generators seeded alike, the method keeps the same."""
    first, again = (case.state(RandomBatch()) for _ in range(2))
    if first is not None:
        assert _same(first.state_dict(), again.state_dict()), (
            f"{case.name}: setup gives other contents each time: let it draw from torch's global generator, which is "
            "seeded for the call"
        )


def sequences_are_made(case: Case) -> None:
    """The hook gives kdzoo.Sequences, from what is there when it is called."""
    for step in case.steps(adapted=False):
        case.make(step)


def after_step_keeps_numbers(case: Case) -> None:
    """After a step what the method keeps is finite."""
    for seed in SEEDS:
        state = case.adapted_state(RandomBatch(seed=seed))
        for name, value in _content(state).items():
            finite = not isinstance(value, Tensor) or bool(value.isfinite().all())
            assert finite, f"{case.name}: after_step leaves {name} infinite, or not a number"


def state_survives_a_checkpoint(case: Case) -> None:
    """Saved after a step and read by a new start, what the method keeps is the same."""
    for seed in SEEDS:
        batch = RandomBatch(seed=seed)
        before, after = case.adapted_state(batch), case.state(batch)
        if before is None:
            return
        file = io.BytesIO()
        torch.save(before.state_dict(), file)
        file.seek(0)
        try:
            after.load_state_dict(torch.load(file, weights_only=True))
        except Exception as error:  # what a module's own methods raise, too
            why = str(error).partition("\n")[0]
            raise AssertionError(f"{case.name}: what setup gave cannot be resumed: {why}") from error
        lost = _differing(before, after)
        assert lost is None, (
            f"{case.name}: {lost} is lost with a checkpoint: make it a parameter or a buffer, or let "
            "get_extra_state and set_extra_state carry it"
        )


def _content(state: Any) -> Mapping[str, Any]:
    return {} if state is None else state.state_dict()


def _differing(before: nn.Module, after: nn.Module) -> str | None:
    """The name of something that one module has otherwise than the other, its plain attributes included."""
    for name, value in before.state_dict().items():
        if not _same(value, after.state_dict()[name]):
            return name
    for (path, mine), (_, theirs) in zip(before.named_modules(), after.named_modules(), strict=True):
        for name, value in vars(mine).items():
            if not name.startswith("_") and not _same(value, vars(theirs).get(name)):
                return f"{path}.{name}" if path else name
    return None


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.shape == other.shape and bool(torch.equal(one, other))
    if isinstance(one, Mapping):
        return (
            isinstance(other, Mapping)
            and one.keys() == other.keys()
            and all(_same(one[k], other[k]) for k in one)
        )
    if isinstance(one, Sequence) and not isinstance(one, str):
        return (
            isinstance(other, Sequence)
            and len(one) == len(other)
            and all(_same(a, b) for a, b in zip(one, other, strict=True))
        )
    # what is no plain value is not told to differ
    return not isinstance(one, int | float | str | bytes) or one == other


def _has_setup(case: Case) -> bool:
    return case.implements("setup")


def _adapts(case: Case) -> bool:
    return case.implements("after_step")


CHECKS = [
    Check(setup_gives_a_module_or_none, applies=_has_setup),
    Check(setup_depends_on_the_seed_alone, needs=(setup_gives_a_module_or_none,), applies=_has_setup),
    *check_preparation.CHECKS,
    Check(
        sequences_are_made,
        needs=(setup_gives_a_module_or_none, check_preparation.prepare_gives_a_row_for_each_prompt),
    ),
    Check(after_step_keeps_numbers, needs=(sequences_are_made,), applies=_adapts),
    Check(
        state_survives_a_checkpoint,
        needs=(setup_depends_on_the_seed_alone, after_step_keeps_numbers),
        applies=_has_setup,
    ),
]
