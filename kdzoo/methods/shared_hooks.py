"""Hooks that several methods have alike: each function makes one, ``aux_loss = mle_on_target()``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kdzoo.methods.hookspecs import hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo.methods.method import TrainingDataOptions, WeightedOptions
    from kdzoo.methods.sequences import Sequences
    from kdzoo.methods.step import Step


def mle_on_target() -> Callable[[Step, WeightedOptions], Tensor | None]:
    """An ``aux_loss``: ``mle_weight`` times MLE on the ground truth, which is not computed where the weight is 0."""

    @hookimpl
    def aux_loss(step: Step, options: WeightedOptions) -> Tensor | None:
        if options.mle_weight == 0:
            return None
        return options.mle_weight * step.student.cross_entropy(step.target)

    return aux_loss


def target_or_generated() -> Callable[[Step, TrainingDataOptions], Sequences]:
    """A ``make_training_sequence``: the ground truth, or what the student generates, as ``data`` says."""

    @hookimpl
    def make_training_sequence(step: Step, options: TrainingDataOptions) -> Sequences:
        if options.data == "student":
            return step.student.generate(temperature=options.temperature)
        return step.target

    return make_training_sequence
