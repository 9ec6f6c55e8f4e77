"""What a method keeps must be a module that is made alike each time, stays finite, and is carried by a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from broken_methods import breaks, divergence, module

from kdzoo.testing import check_method


class Kept(torch.nn.Module):
    """A buffer, and a list beside it that the module's state carries."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.register_buffer("mean", torch.zeros(()))
        self.seen: list[int] = []

    def get_extra_state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


def setup() -> Kept:
    return Kept()


def after_step(step: Any, losses: Any) -> None:
    step.state.mean.add_(losses.total)
    step.state.seen = list(step.examples)


def test_one_that_keeps_the_rules_passes() -> None:
    check_method(module(divergence, setup, after_step))


def of_setup(give: Callable[[], Any]) -> Callable[[], Any]:
    def setup() -> Any:
        return give()

    return setup


def test_it_must_be_a_module() -> None:
    breaks(
        divergence,
        of_setup(lambda: {"a": 1}),
        by="setup_gives_a_module_or_none",
        words="must give a torch.nn.Module or None, not dict",
    )


def test_it_must_be_made_alike_each_time() -> None:
    def drawn() -> torch.nn.Module:
        made = Kept()
        made.mean.fill_(float(int.from_bytes(os.urandom(4), "little")))
        return made

    breaks(
        divergence, of_setup(drawn), by="setup_depends_on_the_seed_alone", words="other contents each time"
    )


def test_it_must_stay_finite() -> None:
    def after_step(step: Any) -> None:
        step.state.mean.div_(0.0)

    breaks(divergence, setup, after_step, by="after_step_keeps_numbers", words="leaves mean infinite")


def test_an_error_after_a_step_is_told_with_its_place() -> None:
    def after_step(step: Any) -> None:
        raise KeyError("a key")

    breaks(divergence, setup, after_step, by="after_step_keeps_numbers", words="KeyError: 'a key'")


@pytest.mark.parametrize("kept", ["a number", "a list", "a tensor"])
def test_a_checkpoint_must_carry_it(kept: str) -> None:
    class Plain(torch.nn.Module):
        count: Any = None

    def after_step(step: Any) -> None:
        step.state.count = {"a number": 1, "a list": [1], "a tensor": torch.ones(2)}[kept]

    breaks(
        divergence,
        of_setup(Plain),
        after_step,
        by="state_survives_a_checkpoint",
        words="count is lost with a checkpoint",
    )


def test_a_checkpoint_must_be_readable_without_running_code() -> None:
    class Odd(Kept):
        def get_extra_state(self) -> dict[str, Any]:
            return {"seen": Kept}

    breaks(
        divergence,
        of_setup(Odd),
        by="state_survives_a_checkpoint",
        words="what setup gave cannot be resumed",
    )


def test_sequences_must_be_made_from_what_is_there() -> None:
    def make_training_sequence(step: Any) -> Any:
        return step.training_sequence

    breaks(
        divergence,
        make_training_sequence,
        by="sequences_are_made",
        words="step.training_sequence is not there before it is made",
    )
