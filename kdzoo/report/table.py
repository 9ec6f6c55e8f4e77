"""The table that a run ends with: what each model scored and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from kdzoo.tasks import registry


@dataclass(frozen=True)
class ModelRow:
    """One evaluated model. ``scores`` are by metric, or by set and metric ("dk ex"); ``seconds`` its training time, if it was trained here."""

    name: str
    parameters: int
    scores: dict[str, float]
    seconds: float | None
    is_baseline: bool = False


def model_table(rows: Sequence[ModelRow], title: str | None = None) -> Table:
    """Lay the models out side by side; training times relative to the SFT student's, where there is one."""
    metrics = list(dict.fromkeys(metric for row in rows for metric in row.scores))
    baseline = next((row.seconds for row in rows if row.is_baseline), None)
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("model")
    table.add_column("parameters", justify="right")
    for metric in metrics:
        table.add_column(heading(metric), justify="right")
    table.add_column("training", justify="right")
    table.add_column("relative to SFT", justify="right")
    for row in rows:
        scores = [score_text(metric, row.scores.get(metric)) for metric in metrics]
        relative = f"{row.seconds / baseline:.2f}" if row.seconds and baseline else "-"
        table.add_row(row.name, f"{row.parameters:,}", *scores, _time_text(row.seconds), relative)
    return table


def _time_text(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def print_table(console: Console, table: Table) -> None:
    """Print a table without cutting it, also where the output is no terminal."""
    if console.is_terminal:
        console.print(table)
    else:
        Console(file=console.file, width=200).print(table)


def heading(column: str) -> str:
    """How a column of scores is called in a table: by its metric, behind its set if it names one."""
    before, space, metric = column.rpartition(" ")
    return before + space + (registry.metrics.find(metric).heading or metric.upper())


def score_text(column: str, score: float | None) -> str:
    """A score as its metric writes it."""
    metric = column.rpartition(" ")[2]
    return "-" if score is None else registry.metrics.find(metric).text_of(score)
