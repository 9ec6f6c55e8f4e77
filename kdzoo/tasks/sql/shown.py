"""A statement's rows as they are shown to a person. Used inside the sandbox only."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from kdzoo.tasks.sql.execute import Allowance, StatementError, executing
from kdzoo.tasks.sql.normalize import with_joined_signs
from kdzoo.tasks.sql.request import Answer, Request, Result, Shown
from kdzoo.tasks.sql.timers import prediction_timer

_LONGEST_TEXT = 200
_LONGEST_BYTES = 16
_MOST_COLUMNS = 50
_CUT = "…"


def show(request: Request) -> Answer:
    """Run the prediction as it is written, but for comparison signs that are split, and give its first rows."""
    (database,) = request.databases
    statement = with_joined_signs(request.prediction)
    if not statement.strip():
        return Answer(False, reason="no statement")
    limits = request.limits
    try:
        with prediction_timer(request.seconds) as set_timer:
            allowance = Allowance(request.steps, request.seconds, limits.reading_seconds, set_timer)
            with executing(Path(database), statement, limits, allowance, _decoded) as rows:
                columns = rows.columns
                first = [[_shown(value) for value in row] for row in islice(rows, request.most_rows + 1)]
    except StatementError as failure:
        return Answer(False, reason=failure.reason, slow=failure.slow, barren=failure.barren)
    cut = [_cut(name) for name in columns]
    if len(cut) > _MOST_COLUMNS:
        left = len(cut) - _MOST_COLUMNS
        cut = [*cut[:_MOST_COLUMNS], f"{_CUT} {left} more"]
        first = [[*row[:_MOST_COLUMNS], _CUT] for row in first]
    return Answer(True, result=Result(cut, first[: request.most_rows], len(first) > request.most_rows))


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")


def _shown(value: Any) -> Shown:
    if isinstance(value, bytes):
        more = _CUT if len(value) > _LONGEST_BYTES else ""
        return f"x'{value[:_LONGEST_BYTES].hex()}{more}'"
    return _cut(value) if isinstance(value, str) else value


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + _CUT
