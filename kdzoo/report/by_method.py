"""What was measured of each method, to stand beside what it declares."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from kdzoo.report.comparison import Comparison, Row, is_averaged
from kdzoo.report.measured import Column
from kdzoo.report.table import (
    AVERAGE,
    RELATIVE,
    average_text,
    cell_text,
    column_heading,
    memory_text,
    relative_text,
)

# What a method's row says that is not scored.
_NOTHING = "-"


def rows_by_method(comparison: Comparison) -> dict[str, list[Row]]:
    """The students of each method, by its name. One that was fine-tuned for others to begin with is no result of any."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in comparison.rows:
        first = row.group.members[0]
        if first.role == "student" and first.trained is not None and not first.is_beginning:
            found[first.trained.method].append(row)
    return dict(found)


def measured_headings(comparison: Comparison) -> tuple[str, str, str]:
    """The headings of what `measured_texts` gives."""
    column = _summary(comparison)
    score = (
        AVERAGE
        if comparison.has_average
        else "score"
        if column is None
        else column_heading(column, comparison)
    )
    return score, RELATIVE, "peak memory"


def measured_texts(comparison: Comparison, row: Row) -> tuple[str, str, str]:
    """A row's score (the average where there is one, else the first), its step's relative time and its memory."""
    column = _summary(comparison)
    cell = None if column is None else row.cells.get(column)
    if comparison.has_average:
        score = average_text(row, comparison)
    else:
        score = _NOTHING if column is None or cell is None else cell_text(column, cell)
    return score, relative_text(row), memory_text(row.cost.peak_memory_bytes)


def measured_json(comparison: Comparison, row: Row) -> dict[str, Any]:
    """A row as a JSON object; scores as their metrics have them, times in seconds."""
    return {
        "name": row.label,
        "scores": [
            {"set": column.set, "metric": column.metric, "score": cell.score, "interval": cell.interval}
            for column, cell in row.cells.items()
        ],
        "average": row.average,
        "step_seconds": row.cost.step_seconds,
        "step_relative_to_baseline": row.relative_step,
        "peak_memory_bytes": row.cost.peak_memory_bytes,
    }


def _summary(comparison: Comparison) -> Column | None:
    return next((column for column in comparison.columns if is_averaged(column)), None)
