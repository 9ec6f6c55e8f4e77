"""Noticing that a training has become much slower because the processor does something else."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

# Shorter stretches are slow for reasons of their own: a checkpoint, an odd batch.
_STRETCH_SECONDS = 10.0
_STRETCHES = 3
_FEWER_TOKENS = 1 / 3
_LESS_PROCESSOR = 0.75


@dataclass(frozen=True)
class Collapse:
    """Tokens per second in the last stretch, and in a usual one before it."""

    now: float
    usual: float


class Pace:
    """Compares the tokens per second of each stretch of ten seconds with those before it.

    Methods have long steps and short ones. What tells other programs' work from a method's own is how much processor
    time the process gets in a second: it falls with the tokens only where somebody else takes it.
    """

    def __init__(self) -> None:
        self._tokens: list[float] = []
        self._processor: list[float] = []
        self._told = False
        self._begin: tuple[float, float, float] | None = None

    def pause(self) -> None:
        """Something else than training has been done since the last call of `seen`."""
        self._begin = None

    def seen(
        self, tokens: float, now: float | None = None, processor: float | None = None
    ) -> Collapse | None:
        """Take the tokens read so far, the time and the processor time (both in seconds); tell of a collapse, once."""
        now = time.monotonic() if now is None else now
        processor = time.process_time() if processor is None else processor
        if self._begin is None:
            self._begin = (tokens, now, processor)
        tokens_before, before, processor_before = self._begin
        seconds = now - before
        if seconds < _STRETCH_SECONDS:
            return None
        self._begin = (tokens, now, processor)
        speed, share = (tokens - tokens_before) / seconds, (processor - processor_before) / seconds
        if len(self._tokens) >= _STRETCHES and not self._told:
            usual = median(self._tokens)
            if speed < _FEWER_TOKENS * usual and share < _LESS_PROCESSOR * median(self._processor):
                self._told = True
                return Collapse(speed, usual)
        self._tokens.append(speed)
        self._processor.append(share)
        return None
