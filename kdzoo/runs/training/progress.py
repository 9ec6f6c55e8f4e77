"""What is told of a training while it runs, and the time that it takes."""

from __future__ import annotations

from pathlib import Path

import torch

from kdzoo.engine.training.nonfinite import SkippedStep
from kdzoo.report.progress import Reporter
from kdzoo.runs.training.clock import Clock
from kdzoo.runs.training.pace import Pace
from kdzoo.runs.training.unused_options import UnusedOptions


class TrainingProgress:
    """Tells of a stage's steps as they are made, and adds up their seconds in ``seconds``, a file, over all starts.

    The seconds count from its making until `stop`.
    """

    def __init__(self, reporter: Reporter, name: str, seconds: Path, unused: UnusedOptions) -> None:
        self._reporter, self._name, self._unused = reporter, name, unused
        self._clock, self._pace = Clock(seconds), Pace()
        self._done = 0

    def begin(self, steps: int, done: int) -> None:
        """So many optimizer steps are to be made, of which earlier starts have done some."""
        self._done = done
        self._reporter.start(self._name, steps, done)

    def step(self, step: int, steps: int, numbers: dict[str, float]) -> None:
        """A step has been made: its number, of how many, and what was measured of it."""
        self._clock.keep()
        self._reporter.advance(
            step, f"loss {numbers['loss']:.4f}  {numbers['tokens_per_second']:.0f} tokens/s"
        )
        note = self._unused.after(step - self._done, last=step == steps)
        if note is not None:
            self.say(note)
        collapse = self._pace.seen(numbers["tokens_seen"])
        if collapse is not None:
            advice = "; threads = 1 in the recipe loses least by that" if torch.get_num_threads() > 1 else ""
            self.say(
                f"{collapse.now:.0f} tokens/s where {collapse.usual:.0f} were usual: "
                f"other programs use the processor{advice}"
            )

    def skipped(self, step: SkippedStep) -> None:
        """A step has been left out."""
        self.say(f"skipped, because it is not finite: {step}")

    def leave_out(self, seconds: float) -> None:
        """So many seconds that have just passed were not of the training."""
        self._clock.leave_out(seconds)
        self._pace.pause()

    def say(self, what: str) -> None:
        """Print one line about the stage."""
        self._reporter.say(f"{self._name}: {what}")

    def stop(self) -> float:
        """The seconds up to now, over all starts."""
        return self._clock.stop()
