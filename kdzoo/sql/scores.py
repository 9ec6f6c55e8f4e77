"""From verdicts to scores: accuracy with its confidence interval, in all and by difficulty, and what went wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdzoo.sql.judge import Verdict

_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Accuracy:
    """``right`` of ``count``, and the 95% Wilson score interval."""

    right: int
    count: int

    @property
    def score(self) -> float:
        """The fraction that is right; 0 of nothing."""
        return self.right / self.count if self.count else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% confidence interval (Wilson 1927) of the score."""
        return wilson_interval(self.right, self.count)


@dataclass(frozen=True)
class Summary:
    """``errors`` counts the reasons of predictions that did not run; ``gold_errors`` questions without an answer."""

    all: Accuracy
    by_difficulty: dict[str, Accuracy]
    errors: dict[str, int]
    gold_errors: int

    @property
    def score(self) -> float:
        """The accuracy in all."""
        return self.all.score

    def as_json(self) -> dict[str, Any]:
        """For scores.json."""
        return {
            "right": self.all.right,
            "count": self.all.count,
            "interval": list(self.all.interval),
            "by_difficulty": {
                name: {"right": a.right, "count": a.count, "score": a.score} for name, a in self.by_difficulty.items()
            },
            "errors": self.errors,
            "gold_errors": self.gold_errors,
        }


def summary(verdicts: Sequence[Verdict], difficulties: Sequence[str | None]) -> Summary:
    """Add up verdicts. A question whose gold query fails counts as wrong, and is counted apart."""
    by_difficulty: dict[str, list[bool]] = {}
    for verdict, difficulty in zip(verdicts, difficulties, strict=True):
        if difficulty is not None:
            by_difficulty.setdefault(difficulty, []).append(verdict.right)
    errors = Counter(_kind(v.reason) for v in verdicts if v.reason is not None)
    return Summary(
        Accuracy(sum(v.right for v in verdicts), len(verdicts)),
        {name: Accuracy(sum(right), len(right)) for name, right in by_difficulty.items()},
        dict(errors.most_common()),
        sum(v.gold_error is not None for v in verdicts),
    )


def wilson_interval(right: int, count: int, z: float = _Z95) -> tuple[float, float]:
    """The Wilson score interval of a proportion; (0, 1) of nothing."""
    if count == 0:
        return 0.0, 1.0
    share = right / count
    scale = 1 + z * z / count
    middle = (share + z * z / (2 * count)) / scale
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


def _kind(reason: str) -> str:
    """Group reasons: "no such column: T1.x" and "no such column: y" are one kind."""
    return reason.split(":")[0][:60]
