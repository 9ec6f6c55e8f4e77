"""Which pictures a comparison gives, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from kdzoo.report.comparison import BASELINE, Comparison, Row, is_averaged
from kdzoo.report.groups import FEWEST_VALUES, Curve, curves, short_key, value_text
from kdzoo.report.measured import Column
from kdzoo.report.pictures import Picture, Series
from kdzoo.report.run_files import is_number
from kdzoo.report.table import AVERAGE, column_heading, heading
from kdzoo.report.training_curves import (
    Lines,
    OverSteps,
    logged_lines,
    number_over_steps,
    score_over_steps,
    scored_columns,
)

# What a step's line may hold: what to call it, its unit, and what to know of it.
_LOGGED = {
    "loss": (
        "Loss while training",
        "loss (nats per token)",
        "Each method's own loss, its divergence and its auxiliary loss together: compare their course, not their height.",
    ),
    "agreement": ("Agreement of student and teacher", "same most probable token (share)", ""),
    "student_entropy": ("Entropy of the student", "entropy (nats per token)", ""),
    "generated_length": ("Length of generated sequences", "length (tokens)", ""),
}


def pictures(comparison: Comparison, notes: list[str]) -> Iterator[Picture]:
    """All pictures that the runs have the numbers for. Rows are numbered as in the table."""
    yield from _cost(comparison)
    for curve in curves(row.group for row in comparison.rows):
        yield from _sweep(comparison, curve)
    logs = [logged_lines(row.group, notes) for row in comparison.rows]
    yield from _scores_over_steps(comparison, logs)
    yield from _logged(logs)
    yield from _errors_over_length(comparison)


def _cost(comparison: Comparison) -> Iterator[Picture]:
    """Score against the time of a step; averages of different scores are pictures of their own."""
    relative = any(row.relative_step is not None for row in comparison.rows)
    for name, column in _summaries(comparison)[:1]:
        drawn: dict[tuple[Column, ...], list[Series]] = {}
        for index, row in enumerate(comparison.rows):
            x = row.relative_step if relative else row.cost.step_seconds
            point = _point(row, column)
            if x is not None and point is not None:
                y, interval = point
                of = tuple(row.averaged_columns) if column is None else (column,)
                ends = [[end] for end in interval] if interval else ()
                drawn.setdefault(of, []).append(Series(index, [x], [y], *ends))
        unit = f"relative to {BASELINE}" if relative else "seconds"
        for of, series in drawn.items():
            sets = ", ".join(dict.fromkeys(averaged.set for averaged in of))
            yield Picture(
                f"{name} against cost" if len(drawn) == 1 else f"{name} of {sets} against cost",
                f"median time of a step ({unit})",
                _percent(name),
                series,
                has_lines=False,
                description="Up is better, left is cheaper.",
            )


def _sweep(comparison: Comparison, curve: Curve) -> Iterator[Picture]:
    """Score over the values of one setting, as far as they are measured, with the baseline's as a level."""
    setting = short_key(curve.key, curve.name)
    others = "".join(f", {short_key(k, curve.name)} = {value_text(v)}" for k, v in curve.others.items())
    rows = [(value, row) for value, group in curve.points if (row := comparison.row_of(group)) is not None]
    for name, column in _summaries(comparison):
        found = [(x, row, point) for x, row in rows if (point := _point(row, column)) is not None]
        drawn = [row for _, row, _ in found]
        if len({x for x, _, _ in found}) < FEWEST_VALUES or not _alike(drawn, column):
            continue
        intervals = [interval for _, _, (_, interval) in found if interval is not None]
        known = intervals if len(intervals) == len(found) else []
        series = [
            Series(
                comparison.rows.index(drawn[0]),
                [x for x, _, _ in found],
                [y for _, _, (y, _) in found],
                [low for low, _ in known],
                [high for _, high in known],
                label=f"{curve.name}{others}",
            ),
            *_level(comparison, drawn, column),
        ]
        yield Picture(
            f"{name} of {curve.name}{others} over {setting}",
            setting,
            _percent(name),
            series,
            ticks=sorted({x for x, _, _ in found}),
            description=f"The level line is {comparison.compared_with}'s." if len(series) > 1 else "",
        )


def _level(comparison: Comparison, rows: list[Row], column: Column | None) -> Iterator[Series]:
    """The score of what all these rows are compared with, if that is the same."""
    baseline = comparison.row_of(rows[0].baseline)
    if baseline is None or any(row.baseline is not baseline.group for row in rows):
        return
    point = _point(baseline, column)
    if point is not None and _alike([*rows, baseline], column):
        yield Series(comparison.rows.index(baseline), [], [point[0]], is_level=True)


def _alike(rows: list[Row], column: Column | None) -> bool:
    """Whether what stands for the scores of rows is of the same columns: always, where it is no average."""
    return column is not None or all(row.averaged_columns == rows[0].averaged_columns for row in rows)


def _scores_over_steps(comparison: Comparison, logs: list[list[Lines]]) -> Iterator[Picture]:
    columns = dict.fromkeys(column for of_row in logs for column in scored_columns(of_row))
    several = len({column.set for column in [*columns, *comparison.columns]}) > 1
    for column in columns:
        name = f"{column.set} {heading(column.metric)}" if several else heading(column.metric)
        percent = 100 if is_averaged(column) else 1
        series = [
            _banded(index, found, percent)
            for index, of_row in enumerate(logs)
            if (found := score_over_steps(of_row, column)) is not None
        ]
        label = _percent(name) if is_averaged(column) else name
        yield Picture(f"{name} while training", "training step", label, series, as_band=True, whole_x=True)


def _logged(logs: list[list[Lines]]) -> Iterator[Picture]:
    for key, (title, label, description) in _LOGGED.items():
        series = [
            Series(index, found.steps, found.mean)
            for index, of_row in enumerate(logs)
            if (found := number_over_steps(of_row, key)) is not None
        ]
        if series:
            yield Picture(title, "training step", label, series, whole_x=True, description=description)


def _errors_over_length(comparison: Comparison) -> Iterator[Picture]:
    """ExAccErr, or whatever else has a curve, over the length l of what was generated."""
    for column in comparison.columns:
        series = []
        for index, row in enumerate(comparison.rows):
            curve = _mean_curve(row, column)
            if curve:
                series.append(Series(index, [length for length, _ in curve], [y for _, y in curve]))
        if series:
            name = column_heading(column, comparison)
            yield Picture(f"{name} over length", "length l (tokens)", _percent(name), series, whole_x=True)


def _mean_curve(row: Row, column: Column) -> list[tuple[int, float]]:
    """The mean over seeds at each length where it is defined; lengths count from 1."""
    found: dict[int, list[float]] = {}
    for member in row.group.members:
        result = member.sets.get(column.set)
        details = None if result is None else result.details.get(column.metric)
        curve = details.get("curve") if isinstance(details, dict) else None
        for length, value in enumerate(curve if isinstance(curve, list) else [], start=1):
            if is_number(value):
                found.setdefault(length, []).append(value)
    return [(length, fmean(values)) for length, values in sorted(found.items())]


def _summaries(comparison: Comparison) -> list[tuple[str, Column | None]]:
    """What stands for a row's scores in a picture: the average first where there is one (None), then each score."""
    averaged = [column for column in comparison.columns if is_averaged(column)]
    names = [(column_heading(column, comparison), column) for column in averaged]
    return [(AVERAGE, None), *names] if comparison.has_average else [*names]


def _point(row: Row, column: Column | None) -> tuple[float, tuple[float, float] | None] | None:
    """A row's score in percent, with its interval in percent."""
    if column is None:
        return None if row.average is None else (100 * row.average, None)
    cell = row.cells.get(column)
    if cell is None or cell.score is None:
        return None
    interval = None if cell.interval is None else (100 * cell.interval[0], 100 * cell.interval[1])
    return 100 * cell.score, interval


def _banded(row: int, found: OverSteps, factor: float) -> Series:
    """A line with the range of its seeds, where these differ."""
    y, low, high = ([factor * value for value in values] for values in (found.mean, found.low, found.high))
    return Series(row, found.steps, y) if low == high else Series(row, found.steps, y, low, high)


def _percent(name: str) -> str:
    return f"{name} (%)"
