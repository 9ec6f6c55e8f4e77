"""Models of one or several runs side by side: scores with intervals, differences from one of them, costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

import numpy as np

from kdzoo.errors import UserError
from kdzoo.report import statistics
from kdzoo.report.costs import Cost, cost_of, relative_step
from kdzoo.report.groups import ModelGroup, baseline_of, grouped
from kdzoo.report.measured import Column, MeasuredModel, Question, measured_models
from kdzoo.report.runs_read import ReadRun, Runs
from kdzoo.report.statistics import PairedTest, Scores
from kdzoo.spelling import hint
from kdzoo.tasks import registry

BASELINE = "the SFT student"
# As much may a score and the mean of its questions' values differ by rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Difference:
    """A model's mean over the questions that both have answered, less that of the row's ``baseline``.

    ``test`` is of one comparison, ``corrected`` its p-value corrected for all those of the table (Holm).
    """

    value: float
    questions: int
    test: PairedTest
    corrected: float


@dataclass(frozen=True)
class Cell:
    """A score (None: undefined), the mean over ``seeds``; its 95% interval where each question has a value of its own."""

    score: float | None
    seeds: int
    interval: tuple[float, float] | None = None
    difference: Difference | None = None


@dataclass(frozen=True)
class Row:
    """One model, of one seed or several. ``average`` is the plain mean of its scores that count in one.

    ``baseline`` is what it is compared with: the SFT student, or the model that was asked for. ``average_difference`` is
    its mean less that one's, ``relative_step`` its step's time over the SFT student's in any case.
    """

    label: str
    group: ModelGroup
    cells: dict[Column, Cell]
    cost: Cost
    baseline: ModelGroup | None
    average: float | None = None
    average_difference: float | None = None
    relative_step: float | None = None

    @property
    def parameters(self) -> int | None:
        """The number of the model's parameters, if it is known."""
        return next((m.parameters for m in self.group.members if m.parameters is not None), None)

    @property
    def averaged_columns(self) -> list[Column]:
        """What its average is of."""
        return averaged_columns(self.cells)

    @property
    def baseline_label(self) -> str:
        """What the baseline is called beside this row: what both have in common is not said again."""
        if self.baseline is None:
            return ""
        differing = self.group.differing
        is_said = all(differing.get(key) == value for key, value in self.baseline.differing.items())
        return self.baseline.name if is_said else self.baseline.label

    @property
    def name(self) -> str:
        """What the table calls it."""
        return self.label if self.cells else f"{self.label} (not evaluated yet)"


@dataclass(frozen=True)
class Comparison:
    """A table of models. ``notes`` tell what is unfinished, damaged, or not like the rest; ``compared_with`` is what
    students are tested against.
    """

    runs: list[ReadRun]
    columns: list[Column]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    compared_with: str = BASELINE

    def row_of(self, group: ModelGroup | None) -> Row | None:
        """The row of a group."""
        return next((row for row in self.rows if row.group is group), None)

    @property
    def tests(self) -> int:
        """How many comparisons the p-values are corrected for."""
        return sum(cell.difference is not None for row in self.rows for cell in row.cells.values())

    @property
    def has_average(self) -> bool:
        """Whether some row has several scores that count in an average."""
        return any(row.average is not None for row in self.rows)

    @property
    def averages_alike(self) -> bool:
        """Whether all averages are of the same columns, so that they can be compared."""
        return len({tuple(row.averaged_columns) for row in self.rows if row.average is not None}) <= 1


def compare(runs: Runs, against: str | None = None) -> Comparison:
    """Put the models of runs side by side.

    Students are tested against the SFT student, or against the model that is called ``against``: the name of what a run
    evaluates, or a row's label where several have that name.

    Raises:
        UserError: no model is called so.
    """
    notes = list(runs.notes)
    groups = grouped(model for run in runs.runs for model in measured_models(run, notes))
    if against is not None and not any(group.is_called(against) for group in groups):
        known = [name for group in groups for name in (group.name, group.label)]
        raise UserError(f'no model of these runs is called "{against}"{hint(against, known)}')
    members = [member for group in groups for member in group.members]
    columns = list(dict.fromkeys(c for m in members for c in m.columns if _score(m, c) is not None))
    rows = [_row(group, groups, against, columns, notes) for group in groups]
    with_differences = _beside_baselines(rows)
    return Comparison(runs.runs, columns, with_differences, list(dict.fromkeys(notes)), against or BASELINE)


def seeds_of(group: ModelGroup) -> int:
    """How many of its models are scored."""
    return sum(bool(member.sets) for member in group.members)


def scores_of(group: ModelGroup, column: Column) -> tuple[list[Question], Scores] | None:
    """The questions that all models of a group have answered, and the scores of the answers [seeds, questions].

    None where there are none, or where a model's score is no mean of its questions' values.
    """
    values = [found for member in group.members if (found := _values(member, column)) is not None]
    measured = [member for member in group.members if _score(member, column) is not None]
    if not values or len(values) < len(measured):
        return None
    common = [question for question in values[0] if all(question in others for others in values)]
    if not common:
        return None
    return common, np.array([[of[question] for question in common] for of in values], dtype=float)


def is_averaged(column: Column) -> bool:
    """Whether a column counts in the average."""
    return registry.metrics.find(column.metric).in_average


def averaged_columns(cells: Mapping[Column, Cell]) -> list[Column]:
    """Those of some cells that count in an average."""
    return [column for column, cell in cells.items() if is_averaged(column) and cell.score is not None]


def _row(
    group: ModelGroup,
    groups: Sequence[ModelGroup],
    against: str | None,
    columns: Sequence[Column],
    notes: list[str],
) -> Row:
    cells = {column: cell for column in columns if (cell := _cell(group, column, notes)) is not None}
    averaged = [score for column in averaged_columns(cells) if (score := cells[column].score) is not None]
    average = fmean(averaged) if len(averaged) > 1 else None
    baseline = baseline_of(group, groups, against)
    return Row(
        group.label,
        group,
        cells,
        cost_of(group),
        baseline,
        average,
        relative_step=relative_step(group, groups),
    )


def _cell(group: ModelGroup, column: Column, notes: list[str]) -> Cell | None:
    measured = [member for member in group.members if column in member.columns]
    if not measured:
        return None
    scores = [score for member in measured if (score := _score(member, column)) is not None]
    if not scores:
        return Cell(None, len(measured))
    found = scores_of(group, column)
    if found is None:
        return Cell(fmean(scores), len(scores))
    questions, values = found
    counts = {len(member.sets[column.set].answers) for member in measured}
    if len(counts) > 1:
        notes.append(
            f"{group.label}: its seeds have answered {len(questions)} questions of {column.set} in common"
        )
    return Cell(fmean(scores), len(scores), statistics.mean_interval(values))


def _score(member: MeasuredModel, column: Column) -> float | None:
    result = member.sets.get(column.set)
    return None if result is None else result.scores.get(column.metric)


def _values(member: MeasuredModel, column: Column) -> dict[Question, float] | None:
    """A model's value for each question, if their mean is its score."""
    score = _score(member, column)
    if score is None:
        return None
    answers = member.sets[column.set].answers
    values = {q: a.values[column.metric] for q, a in answers.items() if column.metric in a.values}
    if not values or not abs(fmean(values.values()) - score) <= _ROUNDING:
        return None
    return values


def _beside_baselines(rows: list[Row]) -> list[Row]:
    """The rows with what they have against their baselines; p-values corrected for all of the table."""
    by_group = {id(row.group): row for row in rows}
    found = {
        (index, column): difference
        for index, row in enumerate(rows)
        if row.baseline is not None and row.baseline is not row.group
        for column in row.cells
        if (difference := _difference(row.group, row.baseline, column)) is not None
    }
    corrected = statistics.holm([difference.test.p for difference in found.values()])
    for (place, difference), p in zip(list(found.items()), corrected, strict=True):
        found[place] = replace(difference, corrected=p)
    return [
        replace(
            row,
            cells={
                column: replace(cell, difference=found.get((index, column)))
                for column, cell in row.cells.items()
            },
            average_difference=_average_difference(row, by_group.get(id(row.baseline))),
        )
        for index, row in enumerate(rows)
    ]


def _average_difference(row: Row, baseline: Row | None) -> float | None:
    """How far apart two averages are, where they are of the same scores."""
    if baseline is None or row is baseline or row.average is None or baseline.average is None:
        return None
    return row.average - baseline.average if row.averaged_columns == baseline.averaged_columns else None


def _difference(group: ModelGroup, baseline: ModelGroup, column: Column) -> Difference | None:
    own, other = scores_of(group, column), scores_of(baseline, column)
    if own is None or other is None:
        return None
    places = {question: place for place, question in enumerate(other[0])}
    both = [(place, places[question]) for place, question in enumerate(own[0]) if question in places]
    if not both:
        return None
    here, there = (np.array(index) for index in zip(*both, strict=True))
    scores, theirs = own[1][:, here], other[1][:, there]
    test = statistics.paired_test(scores, theirs)
    return Difference(float(scores.mean() - theirs.mean()), len(both), test, test.p)
