"""Where a training is interrupted to see what its student can do, and that it then goes on as if nothing had been."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import numpy
import torch
from torch import nn

from kdzoo.engine.models.eval_mode import evaluating


class Scorer(Protocol):
    """Scores the student after some of a training's steps."""

    def continue_after(self, step: int) -> None:
        """The training continues after ``step``: what later ones have left counts no more."""
        ...

    def is_due(self, step: int, last: int) -> bool:
        """Whether the student is to be scored after ``step`` of ``last`` steps, and has not been."""
        ...

    def score(self, step: int, should_stop: Callable[[], bool]) -> Mapping[str, float] | None:
        """Score the student, which is in eval mode, and give what loggers are told, by name.

        Gives None, and has left nothing, if ``should_stop`` has said meanwhile that the training is to end.
        """
        ...


@contextmanager
def apart_from_training(student: nn.Module) -> Iterator[None]:
    """Use a student in eval mode and without gradients for a block, after which nothing of a training has changed.

    Its modules are put back into their own modes, and the global random generators of Python, NumPy and torch to
    where they were.
    """
    python, of_numpy = random.getstate(), numpy.random.get_state()
    device = next(student.parameters()).device
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus), evaluating(tuple(student.modules())):
        try:
            yield
        finally:
            random.setstate(python)
            numpy.random.set_state(of_numpy)
