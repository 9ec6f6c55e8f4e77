"""How long an optimizer step takes, with nothing else of a training in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

Seconds = Callable[[], float]


def clock_of(device: torch.device) -> Seconds:
    """What tells the time at which a device has done all that it was given to do."""
    if device.type != "cuda":
        return time.perf_counter

    def seconds() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return seconds


class StepTimes:
    """The seconds of each step, kept in a file with one number a line, so that those of all starts are known.

    A step is from the drawing of its batch to its update: what is logged, scored and saved after it does not count.
    """

    def __init__(self, path: Path, clock: Seconds = time.perf_counter) -> None:
        self._path = path
        self._clock = clock
        self._new: list[float] = []
        self._begin: float | None = None

    def begin(self) -> None:
        """A step begins."""
        self._begin = self._clock()

    def end(self) -> None:
        """The step is done."""
        if self._begin is not None:
            self._new.append(self._clock() - self._begin)
            self._begin = None

    def keep(self) -> None:
        """Write what has been measured since the last time."""
        if self._new:
            with self._path.open("a", encoding="utf-8") as file:
                # a killed process may have left half a line
                file.write("".join(f"\n{seconds:.9f}" for seconds in self._new) + "\n")
            self._new.clear()

    def median(self) -> float | None:
        """The median of all that is kept, in seconds; None if nothing is."""
        seconds = list(_numbers_in(self._path))
        return median(seconds) if seconds else None


def _numbers_in(path: Path) -> list[float]:
    if not path.is_file():
        return []
    numbers = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            numbers.append(float(line))
        except ValueError:
            continue
    return numbers
