"""Models of one or several runs side by side: scores with intervals, differences to the SFT student, costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median

import numpy as np

from kdzoo.report import statistics
from kdzoo.report.groups import ModelGroup, baseline_of, grouped, have_same_data
from kdzoo.report.measured import Column, MeasuredModel, Question, measured_models
from kdzoo.report.run_files import is_number
from kdzoo.report.runs_read import ReadRun, Runs
from kdzoo.report.statistics import PairedTest, Scores
from kdzoo.tasks import registry

# As much may a score and the mean of its questions' values differ by rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Difference:
    """A model's mean over the questions that both have answered, less the SFT student's.

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
class Cost:
    """What training one model took: the median over its seeds, of peak memory the highest. None: not recorded."""

    step_seconds: float | None = None
    training_seconds: float | None = None
    preparing_seconds: float | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True)
class Row:
    """One model, of one seed or several. ``average`` is the plain mean of its scores that count in one.

    ``average_difference`` is that mean less the SFT student's, ``relative_step`` its step's time over the SFT student's.
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
        """What the SFT student is called beside this row: what both have in common is not said again."""
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
    """A table of models. ``notes`` tell what is unfinished, damaged, or not like the rest."""

    runs: list[ReadRun]
    columns: list[Column]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

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


def compare(runs: Runs) -> Comparison:
    """Put the models of runs side by side."""
    notes = list(runs.notes)
    groups = grouped(model for run in runs.runs for model in measured_models(run, notes))
    members = [member for group in groups for member in group.members]
    columns = list(dict.fromkeys(c for m in members for c in m.columns if _score(m, c) is not None))
    rows = [_row(group, baseline_of(group, groups), columns, notes) for group in groups]
    return Comparison(runs.runs, columns, _beside_baselines(rows), list(dict.fromkeys(notes)))


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


def _row(group: ModelGroup, baseline: ModelGroup | None, columns: Sequence[Column], notes: list[str]) -> Row:
    cells = {column: cell for column in columns if (cell := _cell(group, column, notes)) is not None}
    averaged = [score for column in averaged_columns(cells) if (score := cells[column].score) is not None]
    average = fmean(averaged) if len(averaged) > 1 else None
    return Row(group.label, group, cells, _cost(group), baseline, average)


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


def _cost(group: ModelGroup) -> Cost:
    results = [member.training.results for member in group.members if member.training is not None]

    def numbers(key: str) -> list[float]:
        return [result[key] for result in results if is_number(result.get(key))]

    def middle(key: str) -> float | None:
        return median(numbers(key)) if numbers(key) else None

    peak = max(numbers("peak_memory_bytes"), default=None)
    return Cost(
        middle("step_seconds"),
        middle("training_seconds"),
        middle("preparing_seconds"),
        None if peak is None else int(peak),
    )


def _beside_baselines(rows: list[Row]) -> list[Row]:
    """The rows with what they have against their SFT students; p-values corrected for all of the table."""
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
        _beside(
            row,
            None if row.baseline is None else by_group[id(row.baseline)],
            _baseline_cost(row, rows),
            {
                column: replace(cell, difference=found.get((index, column)))
                for column, cell in row.cells.items()
            },
        )
        for index, row in enumerate(rows)
    ]


def _beside(row: Row, baseline: Row | None, step: float | None, cells: dict[Column, Cell]) -> Row:
    own = row.cost.step_seconds
    return replace(
        row,
        cells=cells,
        average_difference=None if baseline is None else _average_difference(row, baseline),
        relative_step=own / step if own and step else None,
    )


def _average_difference(row: Row, baseline: Row) -> float | None:
    """How far apart two averages are, where they are of the same scores."""
    if row is baseline or row.average is None or baseline.average is None:
        return None
    return row.average - baseline.average if row.averaged_columns == baseline.averaged_columns else None


def _baseline_cost(row: Row, rows: Iterable[Row]) -> float | None:
    """The SFT student's seconds a step; a teacher stands beside the only one that learnt from its data."""
    if row.group.role == "student":
        baselines = [r for r in rows if r.group is row.baseline]
    else:
        baselines = [r for r in rows if r.group.is_baseline and have_same_data(r.group, row.group)]
    return baselines[0].cost.step_seconds if len(baselines) == 1 else None


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
