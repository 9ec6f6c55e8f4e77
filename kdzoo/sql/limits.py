"""What one statement may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of the sandbox.

    A statement is stopped after ``seconds`` of wall time. So that a file full of endless queries ends too, each
    statement first gets ``first_steps`` steps of SQLite's virtual machine (enough for nearly every real query on
    these databases, and the same on every machine); those that need more are run again with the full time, in order,
    until ``patience`` seconds have gone into such second runs; the rest count as timeouts.
    ``memory`` and ``value_bytes`` are in bytes, ``statement`` in characters.
    """

    seconds: float = 10.0
    first_steps: int = 2_000_000
    patience: float = 25.0
    memory: int = 1 << 30
    rows: int = 1_000_000
    result_bytes: int = 100_000_000
    value_bytes: int = 10_000_000
    statement: int = 100_000
