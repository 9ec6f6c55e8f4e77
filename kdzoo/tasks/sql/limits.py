"""What a statement may use. The one place that knows how long each metric lets one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ExecutionMetric = Literal["ex", "ts", "bird-ex"]

_SECONDS: dict[ExecutionMetric, float] = {"ex": 10.0, "ts": 10.0, "bird-ex": 30.0}


@dataclass(frozen=True)
class Limits:
    """Limits of the sandbox.

    SQLite works on a statement for ``seconds`` of CPU time at most on each database, and on a prediction for
    ``steps`` steps of its virtual machine (0: no such limit), which every machine counts alike. BIRD's gold
    query and prediction share their seconds. It is the worker's own CPU time: a busy machine takes none of it.
    Reading and comparing a result is not SQLite's work and has ``reading_seconds`` of its own, enough for tens
    of millions of values; a result has no other limit than ``memory``, the address space of one worker.
    ``value_bytes`` is the longest value, both in bytes; ``statement`` is in characters.

    A file may hold a thousand endless statements. So each is first tried with ``first_steps`` and
    ``first_seconds``, more than most queries take; those that need more get the full limits when all have had
    their first try. Each of them does, however many there are: a verdict depends on no other line of the
    file. What they may take together is therefore known, and told, before it is spent.
    """

    seconds: float = 10.0
    steps: int = 0
    first_seconds: float = 0.1
    first_steps: int = 2_000_000
    reading_seconds: float = 60.0
    memory: int = 1 << 30
    value_bytes: int = 10_000_000
    statement: int = 50_000

    @classmethod
    def of(cls, metric: ExecutionMetric, seconds: float | None = None) -> Limits:
        """The limits of a metric: 10 s for Spider's, 30 s (the official limit) for BIRD's, or ``seconds``."""
        return cls(seconds=_SECONDS[metric] if seconds is None else seconds)
