"""What a run has measured of a model, for its card: a table with intervals, and the same as metadata."""

from __future__ import annotations

from collections.abc import Iterator

from huggingface_hub import EvalResult

from kdzoo.recipe import Recipe
from kdzoo.report.comparison import Comparison, Row, compare
from kdzoo.report.measured import Column
from kdzoo.report.runs_read import Runs
from kdzoo.report.table import cell_text, column_heading, heading
from kdzoo.runs.export.data_described import hub_name
from kdzoo.runs.trained_stage import TrainedStage

_DIGITS = 6


class Scores:
    """The scores of the models of a run, a chosen one among them."""

    def __init__(self, chosen: TrainedStage) -> None:
        """Read what the run's evaluations have left."""
        self._recipe: Recipe = chosen.run.recipe
        self._compared: Comparison = compare(Runs([chosen.run]))
        self._own = next((row for row in self._compared.rows if _is_of(row, chosen)), None)

    @property
    def parameters(self) -> int | None:
        """The number of the model's parameters, if the run has measured it."""
        return None if self._own is None else self._own.parameters

    @property
    def is_empty(self) -> bool:
        """Whether nothing was measured of the model."""
        return self._own is None or not any(cell.score is not None for cell in self._own.cells.values())

    def table(self) -> list[str]:
        """The lines of a Markdown table: the model, then the others of its run."""
        columns = self._compared.columns
        headings = [column_heading(column, self._compared) for column in columns]
        rows = [row for row in self._compared.rows if row is not self._own and row.cells]
        lines = [_line(["model", *headings]), _line(["---"] * (1 + len(headings)))]
        for row in ([self._own] if self._own is not None else []) + rows:
            name = f"**{row.label}**" if row is self._own else row.label
            lines.append(_line([name, *(_text(row, column) for column in columns)]))
        return lines

    def questions(self) -> dict[str, int]:
        """How many questions of each set the model has answered."""
        if self._own is None:
            return {}
        return {
            name: len(result.answers)
            for member in self._own.group.members
            for name, result in member.sets.items()
            if result.answers
        }

    def metadata(self) -> Iterator[EvalResult]:
        """Each score as the hub's model index has it: a fraction where the metric is one."""
        for column, cell in {} if self._own is None else self._own.cells.items():
            if cell.score is None:
                continue
            data = self._recipe.scored_set(column.set).data
            yield EvalResult(
                task_type="text-generation",
                dataset_type=hub_name(data) or data.kind,
                dataset_name=column.set,
                # results of one dataset stand together, whatever their names, unless this differs
                dataset_config=None if column.set == data.kind else column.set,
                metric_type=column.metric,
                metric_name=heading(column.metric),
                metric_value=round(cell.score, _DIGITS),
            )


def _is_of(row: Row, chosen: TrainedStage) -> bool:
    return any(
        member.trained is not None and member.trained.name == chosen.stage.name
        for member in row.group.members
    )


def _text(row: Row, column: Column) -> str:
    cell = row.cells.get(column)
    return "-" if cell is None else cell_text(column, cell)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
