"""What the sandbox is asked and what it answers. Plain data: both cross a pipe as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from kdzoo.tasks.sql.limits import Limits

Rule = Literal["spider", "bird", "show"]

Shown: TypeAlias = int | float | str | None
"""A value as it is shown: text and bytes are cut, and bytes written as SQL writes them."""


@dataclass(frozen=True)
class Request:
    """One prediction to judge on some databases, or by the rule "show" to run on one and give its rows.

    ``steps`` (0: no limit) and ``seconds`` of CPU time are what it may take on each of them this time;
    ``limits`` hold for all else. ``most_rows`` are given at the most.
    """

    rule: Rule
    gold: str
    prediction: str
    databases: list[str]
    quirks: bool
    steps: int
    seconds: float
    limits: Limits
    most_rows: int = 0

    def as_json(self) -> dict[str, Any]:
        """A JSON object, to be read by ``from_json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Request:
        """The request that ``as_json`` has written."""
        return cls(**{**content, "limits": Limits(**content["limits"])})


@dataclass(frozen=True)
class Result:
    """What a statement gave: names of columns, the first rows, and whether there are ``more``."""

    columns: list[str]
    rows: list[list[Shown]]
    more: bool


@dataclass(frozen=True)
class Answer:
    """``reason`` says why the prediction failed, ``gold_error`` why the gold query did.

    ``slow``: the prediction was stopped by what it was allowed this time. ``barren``: without having given a
    row, so that it would be on this database whatever the gold query. ``result`` is what was to be shown.
    """

    right: bool
    reason: str | None = None
    gold_error: str | None = None
    slow: bool = False
    barren: bool = False
    result: Result | None = None

    def as_json(self) -> dict[str, Any]:
        """A JSON object, to be read by ``from_json``."""
        return {key: value for key, value in asdict(self).items() if key != "result" or value is not None}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Answer:
        """The answer that ``as_json`` has written."""
        result = content.get("result")
        return cls(**{**content, "result": None if result is None else Result(**result)})
