"""The table of models that a run ends with, and that comparing runs prints: what each scored and what it cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kdzoo.report.comparison import Cell, Comparison, Row, seeds_of
from kdzoo.report.measured import Column
from kdzoo.tasks import registry

AVERAGE = "Avg."
RELATIVE = "relative to SFT"
_NO_BREAK = "\u00a0"
# A pipe has no width to fit.
_WIDEST = 10_000


@dataclass(frozen=True)
class TableColumn:
    """One column of the table: its heading, what stands in a row, and whether it is a score."""

    heading: str
    text: Callable[[Row], str]
    is_score: bool = False


def comparison_table(comparison: Comparison, title: str | None = None) -> Table:
    """Lay the models out side by side for a terminal."""
    columns = list(table_columns(comparison))
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    for column in columns:
        table.add_column(column.heading, justify="right", overflow="fold")
    for row in comparison.rows:
        table.add_row(Text(row.name), *(column.text(row) for column in columns))
    return table


def print_table(console: Console, table: Table) -> None:
    """Print a table as wide as the terminal, and where the output is none, as wide as it is."""
    if console.is_terminal:
        console.print(table)
    else:
        Console(file=console.file, width=_WIDEST, highlight=False).print(table)


def heading(metric: str) -> str:
    """How a metric is called in a table."""
    return registry.metrics.find(metric).heading or metric.upper()


def column_heading(column: Column, comparison: Comparison) -> str:
    """How a score's column is called: by its metric, and by its set where there are several."""
    several = len({other.set for other in comparison.columns}) > 1
    return f"{column.set} {heading(column.metric)}" if several else heading(column.metric)


def score_text(metric: str, score: float | None) -> str:
    """A score as its metric writes it."""
    return "-" if score is None else registry.metrics.find(metric).text_of(score)


def difference_text(metric: str, difference: float) -> str:
    """A difference of scores with its sign, in points where the metric writes percentages."""
    text = score_text(metric, abs(difference)).removesuffix("%")
    return f"{'-' if difference < 0 else '+'}{text}"


def interval_text(metric: str, interval: tuple[float, float]) -> str:
    """A score's interval: "[40.1, 59.9]"."""
    low, high = (score_text(metric, end).removesuffix("%") for end in interval)
    return f"[{low},{_NO_BREAK}{high}]"


def points(difference: float) -> str:
    """A difference of averages: "+1.2"."""
    return f"{100 * difference:+.1f}"


def seconds_text(seconds: float | None) -> str:
    """A duration as short as it can be told: "12 ms", "4.3 s", "120 s"."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def memory_text(count: int | None) -> str:
    """Bytes in the unit that fits: "512 MiB", "1.5 GiB"."""
    if count is None:
        return "-"
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def table_columns(comparison: Comparison) -> Iterator[TableColumn]:
    """The columns that have something to say of these models, beside their names."""
    rows = comparison.rows
    if any(seeds_of(row.group) > 1 for row in rows):
        yield TableColumn("seeds", lambda row: str(seeds_of(row.group) or "-"))
    yield TableColumn("parameters", lambda row: "-" if row.parameters is None else f"{row.parameters:,}")
    for column in comparison.columns:
        yield TableColumn(column_heading(column, comparison), _score(column), is_score=True)
    if comparison.has_average:
        yield TableColumn(AVERAGE, lambda row: average_text(row, comparison), is_score=True)
    yield TableColumn("training", lambda row: seconds_text(row.cost.training_seconds))
    if any(row.cost.preparing_seconds for row in rows):
        yield TableColumn("preparing", lambda row: seconds_text(row.cost.preparing_seconds or None))
    if any(row.cost.step_seconds is not None for row in rows):
        yield TableColumn("step", lambda row: seconds_text(row.cost.step_seconds))
    yield TableColumn(RELATIVE, relative_text)
    if any(row.cost.peak_memory_bytes is not None for row in rows):
        yield TableColumn("peak memory", lambda row: memory_text(row.cost.peak_memory_bytes))


def relative_text(row: Row) -> str:
    """A step's time over the SFT student's."""
    return "-" if row.relative_step is None else f"{row.relative_step:.2f}"


def cell_text(column: Column, cell: Cell) -> str:
    """A score with its interval."""
    score = score_text(column.metric, cell.score)
    return score if cell.interval is None else f"{score} {interval_text(column.metric, cell.interval)}"


def _score(column: Column) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        cell = row.cells.get(column)
        return "-" if cell is None else cell_text(column, cell)

    return text


def average_text(row: Row, comparison: Comparison) -> str:
    """A model's average with its difference from its baseline's, and of how many scores it is, unless all are of the same."""
    if row.average is None:
        return "-"
    average = f"{100 * row.average:.1f}%"
    if not comparison.averages_alike:
        average += f" of {len(row.averaged_columns)}"
    return average if row.average_difference is None else f"{average} ({points(row.average_difference)})"
