"""How long statements may take when there may be a thousand endless ones among them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kdzoo.sql.limits import Limits

# Each further try gets so many times as much as the one before.
_FACTOR = 8

# The seconds per worker that first tries may take beyond the least before they are cut to the least.
_GENEROSITY = 5.0

# On suites of more databases than these, statements get more time together.
_SMALL_SUITE = 10.0


class FirstTries:
    """What the first try of each statement may take. ``databases``: on how many each is run, on average."""

    def __init__(self, limits: Limits, workers: int, databases: float) -> None:
        self._limits = limits
        self._least = limits.least_seconds * databases
        self._left = (
            _GENEROSITY * workers * _weight(databases) if limits.patience is not None else float("inf")
        )
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[float]:
        """Give the CPU seconds that a try may take in the block, and note how long it did."""
        begin = time.monotonic()
        yield self._limits.first_seconds if self._left > 0 else self._limits.least_seconds
        with self._lock:
            self._left -= max(0.0, time.monotonic() - begin - self._least)


class FurtherTries:
    """What the statements that were stopped may take when they are tried again.

    The first tries have taken ``spent`` seconds; if that was much, less is left here.
    """

    def __init__(self, limits: Limits, databases: float, spent: float) -> None:
        self._limits = limits
        self._end = float("inf")
        if limits.patience is not None:
            patience = limits.patience * _weight(databases)
            self._end = time.monotonic() + min(patience, max(3 * patience - spent, patience / 3))

    def rounds(self) -> Iterator[tuple[int, float]]:
        """The steps (0: no limit) and CPU seconds of each round of tries; the last has the full limits."""
        limits = self._limits
        steps, seconds = limits.first_steps * _FACTOR, limits.first_seconds * _FACTOR
        while (limits.steps == 0 or steps < limits.steps) and seconds < limits.seconds:
            yield steps, seconds
            steps, seconds = steps * _FACTOR, seconds * _FACTOR
        yield limits.steps, limits.seconds

    def left(self) -> float:
        """The seconds that are left for all further tries."""
        return self._end - time.monotonic()


def _weight(databases: float) -> float:
    return max(1.0, databases / _SMALL_SUITE)
