"""Optimizer steps whose loss or gradient is not finite: they are skipped, and too many in a row end the training."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_FILE = "skipped_steps.json"
_MOST_EXAMPLES = 16


class DivergedError(Exception):
    """Losses, gradients or weights are no longer finite: the message's first line; each further one is of a skipped step."""


@dataclass(frozen=True)
class Part:
    """The two terms of the loss (nats per token) of some rows of a step, and their numbers in the dataset."""

    examples: list[int]
    kd_loss: float
    aux_loss: float

    @property
    def is_finite(self) -> bool:
        """Whether both terms are numbers that can be trained on."""
        return math.isfinite(self.kd_loss + self.aux_loss)


@dataclass(frozen=True)
class SkippedStep:
    """What was not finite of a step: its parts with such a loss, or all of them where only the gradient was so."""

    step: int
    gradient_norm: float
    parts: list[Part]

    def __str__(self) -> str:
        terms = [f"kd_loss {part.kd_loss:g}, aux_loss {part.aux_loss:g}" for part in self.parts]
        examples = sorted(index for part in self.parts for index in part.examples)
        shown = ", ".join(map(str, examples[:_MOST_EXAMPLES]))
        more = f" and {len(examples) - _MOST_EXAMPLES} more" if len(examples) > _MOST_EXAMPLES else ""
        numbers = "; ".join([*dict.fromkeys(terms), f"gradient norm {self.gradient_norm:g}"])
        return f"step {self.step}: {numbers}; examples {shown}{more}"


class NonFiniteSteps:
    """Decides of each optimizer step whether it is skipped. What is counted is saved and resumed with the checkpoints.

    Args:
        limit: so many skipped steps in a row end the training.
        tell: is told of each.
        gather: gives what all processes have: of a list the lists put together.
        any_of: whether something is so in any process.
    """

    def __init__(
        self,
        limit: int,
        tell: Callable[[SkippedStep], None] = lambda _: None,
        *,
        gather: Callable[[list[Part]], list[Part]] = lambda parts: parts,
        any_of: Callable[[bool], bool] = lambda it: it,
    ) -> None:
        self._limit = limit
        self._tell = tell
        self._gather = gather
        self._any_of = any_of
        self._parts: list[Part] = []
        self._row: list[SkippedStep] = []
        self.in_all = 0

    def begin(self) -> None:
        """A step begins."""
        self._parts = []

    def saw(self, examples: Sequence[int], kd_loss: float, aux_loss: float) -> None:
        """Take the loss of one part of the step, in this process."""
        self._parts.append(Part(list(examples), kd_loss, aux_loss))

    def skips(self, step: int, gradient_norm: float) -> bool:
        """Whether the step is to be skipped. All processes come to the same, and must ask.

        Raises:
            DivergedError: too many in a row would have been skipped.
        """
        broken = any(not part.is_finite for part in self._parts)
        # the norm is that of all processes' gradients
        if not (self._any_of(broken) or not math.isfinite(gradient_norm)):
            self._row.clear()
            return False
        parts = self._gather(self._parts)
        of_loss = [part for part in parts if not part.is_finite]
        skipped = SkippedStep(step, gradient_norm, of_loss or parts)
        self._row.append(skipped)
        self.in_all += 1
        self._tell(skipped)
        if len(self._row) >= self._limit:
            count = f"{self._limit} steps in a row were" if self._limit > 1 else "a step was"
            raise DivergedError("\n".join([f"{count} not finite", *map(str, self._row)]))
        return True

    def save(self, folder: Path) -> None:
        """Write the counts into a checkpoint."""
        content = {"in_all": self.in_all, "row": [asdict(step) for step in self._row]}
        (folder / _FILE).write_text(json.dumps(content), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Take the counts from a checkpoint, whose files are known to be as they were written."""
        content = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        self.in_all = content["in_all"]
        self._row = [
            SkippedStep(one["step"], one["gradient_norm"], [Part(**part) for part in one["parts"]])
            for one in content["row"]
        ]
