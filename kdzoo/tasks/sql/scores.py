"""From verdicts to scores: accuracy with its interval, in all and by difficulty, and what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdzoo.tasks.sql.execute import TIMEOUT
from kdzoo.tasks.sql.judge import Verdict
from kdzoo.tasks.sql.wilson import wilson_interval

_LONGEST_KIND = 60

# Spider's levels, then BIRD's; others follow in the order in which they come.
_FROM_EASY_TO_HARD = ("easy", "medium", "hard", "extra", "simple", "moderate", "challenging")


@dataclass(frozen=True)
class Accuracy:
    """``right`` of ``count``."""

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

    def as_json(self) -> dict[str, Any]:
        """Counts, score and interval, for a JSON file."""
        return {
            "score": self.score,
            "right": self.right,
            "count": self.count,
            "interval": list(self.interval),
        }


@dataclass(frozen=True)
class Summary:
    """What a list of verdicts comes to.

    ``all`` and ``by_difficulty`` are of all questions, as the official programs count: one whose gold query
    fails is not right. ``gold_errors`` counts these, and ``gold_runs`` is the accuracy without them. ``errors``
    counts, by kind, the predictions that gave no result, without the ``timeouts``.
    """

    all: Accuracy
    gold_runs: Accuracy
    by_difficulty: dict[str, Accuracy]
    errors: dict[str, int]
    timeouts: int
    gold_errors: int

    @property
    def score(self) -> float:
        """The accuracy in all, as the official programs count."""
        return self.all.score

    def as_json(self) -> dict[str, Any]:
        """For a JSON file; scores are fractions."""
        return {
            **self.all.as_json(),
            "gold_runs": self.gold_runs.as_json(),
            "by_difficulty": {name: accuracy.as_json() for name, accuracy in self.by_difficulty.items()},
            "errors": self.errors,
            "timeouts": self.timeouts,
            "gold_errors": self.gold_errors,
        }


def summary(verdicts: Sequence[Verdict], difficulties: Sequence[str | None]) -> Summary:
    """Add up verdicts. Difficulties are told from easy to hard."""
    judged = list(zip(verdicts, difficulties, strict=True))
    gold_runs = [verdict for verdict in verdicts if verdict.gold_error is None]
    present = {difficulty: None for difficulty in difficulties if difficulty is not None}
    names = [name for name in _FROM_EASY_TO_HARD if name in present]
    names += [name for name in present if name not in names]
    reasons = [verdict.reason for verdict in verdicts if verdict.reason is not None]
    return Summary(
        _accuracy(verdicts),
        _accuracy(gold_runs),
        {name: _accuracy([v for v, difficulty in judged if difficulty == name]) for name in names},
        dict(Counter(_kind(reason) for reason in reasons if reason != TIMEOUT).most_common()),
        reasons.count(TIMEOUT),
        len(verdicts) - len(gold_runs),
    )


def _accuracy(verdicts: Sequence[Verdict]) -> Accuracy:
    return Accuracy(sum(verdict.right for verdict in verdicts), len(verdicts))


def _kind(reason: str) -> str:
    """Group reasons: "no such column: T1.x" and "no such column: y" are one kind."""
    if reason.startswith("near "):
        return "syntax error"  # near "FROM": syntax error
    return reason.split(":")[0][:_LONGEST_KIND]
