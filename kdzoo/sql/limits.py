"""What a statement, and a whole file of them, may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of the sandbox.

    A statement is stopped after ``steps`` steps of SQLite's virtual machine (0: no such limit), which every
    machine counts alike, and in any case after ``seconds``, of wall time and of CPU time. ``memory`` is the
    address space of one worker and ``value_bytes`` the longest value, both in bytes; ``rows`` and
    ``result_bytes`` limit one result; ``statement`` is in characters.

    A file may hold a thousand endless queries. So every statement is first tried with ``first_steps`` and
    ``first_seconds`` of CPU time, far more than queries on Spider's databases take. Those that need more are
    tried again with 8 times as much, and again, up to the full limits, until ``patience`` seconds have gone
    into these further tries (None: no end; fewer, a third at least, if the first tries took more than twice
    as many); what is then unfinished counts as a timeout. If too many of the first tries end in something
    that steps cannot stop, such as one endless call of a function, they get ``least_seconds`` only.
    """

    seconds: float = 10.0
    steps: int = 500_000_000
    first_steps: int = 2_000_000
    first_seconds: float = 0.1
    least_seconds: float = 0.02
    patience: float | None = 15.0
    memory: int = 1 << 30
    rows: int = 1_000_000
    result_bytes: int = 100_000_000
    value_bytes: int = 10_000_000
    statement: int = 50_000

    @classmethod
    def of_bird(cls) -> Limits:
        """BIRD's own limit: 30 s for the gold query and the prediction together."""
        return cls(seconds=30.0, steps=0, first_seconds=1.0, patience=None)
