"""The core's own implementations of the hooks: ground-truth sequences, no auxiliary loss, nothing kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdzoo.methods.hookspecs import hookimpl

if TYPE_CHECKING:
    from kdzoo.methods.sequences import Sequences
    from kdzoo.methods.step import Step


@hookimpl
def setup() -> None:
    """Keep nothing."""
    return


@hookimpl
def make_training_sequence(step: Step) -> Sequences:
    """Score the ground truth."""
    return step.target


@hookimpl
def aux_loss() -> None:
    """Add nothing."""
    return


@hookimpl
def after_step() -> None:
    """Adapt nothing."""
    return
