"""What the sandbox is asked and what it answers. Plain data: both cross a pipe as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from kdzoo.tasks.sql.limits import Limits

Rule = Literal["spider", "bird"]


@dataclass(frozen=True)
class Request:
    """One prediction to judge on some databases.

    ``steps`` (0: no limit) and ``seconds`` of CPU time are what it may take on each of them this time;
    ``limits`` hold for all else.
    """

    rule: Rule
    gold: str
    prediction: str
    databases: list[str]
    quirks: bool
    steps: int
    seconds: float
    limits: Limits

    def as_json(self) -> dict[str, Any]:
        """A JSON object, to be read by ``from_json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Request:
        """The request that ``as_json`` has written."""
        return cls(**{**content, "limits": Limits(**content["limits"])})


@dataclass(frozen=True)
class Answer:
    """``reason`` says why the prediction failed, ``gold_error`` why the gold query did.

    ``slow``: the prediction was stopped by what it was allowed this time. ``barren``: without having given a
    row, so that it would be on this database whatever the gold query.
    """

    right: bool
    reason: str | None = None
    gold_error: str | None = None
    slow: bool = False
    barren: bool = False
