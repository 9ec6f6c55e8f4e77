"""What a comparison's tests say, in plain words."""

from __future__ import annotations

from collections.abc import Iterator

from kdzoo.report.comparison import Cell, Comparison, Difference, Row
from kdzoo.report.measured import Column
from kdzoo.report.table import column_heading, difference_text

LEVEL = 0.05


def said_of_tests(comparison: Comparison) -> Iterator[str]:
    """One sentence for each difference from the model that students are compared with."""
    for row, column, cell in differences(comparison):
        assert cell.difference is not None
        value = difference_text(column.metric, cell.difference.value)
        yield (
            f"{row.label} against {row.baseline_label}, {column_heading(column, comparison)}: {value} points on "
            f"{cell.difference.questions} questions: {verdict(cell.difference)} ({p_values(cell.difference)}; "
            f"{cell.difference.test.name})"
        )


def differences(comparison: Comparison) -> Iterator[tuple[Row, Column, Cell]]:
    """All cells of the table that have a difference."""
    for row in comparison.rows:
        for column, cell in row.cells.items():
            if cell.difference is not None:
                yield row, column, cell


def verdict(difference: Difference) -> str:
    """What the test lets one say."""
    if difference.corrected >= LEVEL:
        return "may be chance"
    return "better by more than chance" if difference.value > 0 else "worse by more than chance"


def p_values(difference: Difference) -> str:
    """The p-value, and the corrected one where they differ."""
    if difference.corrected == difference.test.p:
        return _p("p", difference.test.p)
    return f"{_p('p', difference.test.p)}, {_p('corrected', difference.corrected)}"


def how_tested(comparison: Comparison) -> str:
    """What the intervals and p-values are, for a reader of the table."""
    several = any(cell.seeds > 1 for row in comparison.rows for cell in row.cells.values())
    over = "questions and seeds" if several else "questions"
    told = f"Scores with 95% intervals over {over}."
    if comparison.tests:
        told += (
            f" Differences from {comparison.compared_with} are tested on the same questions, for the models as they were "
            f"trained; {comparison.tests} "
            f"comparison{'s' if comparison.tests > 1 else ''}"
            + (", corrected by Holm's method." if comparison.tests > 1 else ".")
        )
    return told


def _p(name: str, p: float) -> str:
    return f"{name} < 0.001" if p < 0.001 else f"{name} = {p:.3f}" if p < 0.1 else f"{name} = {p:.2f}"
