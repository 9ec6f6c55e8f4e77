"""What stands in each cell of the paper's tables and figures: measured, missing, unfinished or failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from kdzoo.report.paper.exhibits import Column, Exhibit, Paper, Query, published
from kdzoo.report.paper.trained import Mark, Score, TrainedModel

CellState = Literal["filled", "failed", "unfinished", "missing", "not asked for"]
# Of several, the first that any cell has is the state of what is computed from them.
_WORST_FIRST: tuple[CellState, ...] = ("failed", "unfinished", "missing")
# What makes a run less like the paper's, worst first.
_LESS_LIKE: tuple[Mark, ...] = ("rehearsal", "other settings", "fewer questions", "other options")


@dataclass(frozen=True)
class Cell:
    """``value`` is in percent, or a ratio of times: the mean over ``runs`` that differ in nothing but seeds.

    ``published`` is the paper's number, as ``published_in`` prints it. ``sources`` are the stages that the value is from.
    The paper has no number where a cell is "not asked for".
    """

    state: CellState
    value: float | None = None
    runs: int = 0
    marks: frozenset[Mark] = frozenset()
    sources: frozenset[str] = frozenset()
    published: float | None = None
    published_in: str = ""


@dataclass(frozen=True)
class FilledRow:
    """A row's label and its cells that are shown."""

    label: str
    cells: tuple[Cell, ...]
    decimals: int | None = None


@dataclass(frozen=True)
class FilledGroup:
    """Rows under one heading."""

    label: str
    rows: tuple[FilledRow, ...]


@dataclass(frozen=True)
class FilledExhibit:
    """A table or figure with its cells, and the columns that are shown."""

    exhibit: Exhibit
    columns: tuple[Column, ...]
    groups: tuple[FilledGroup, ...]

    @property
    def cells(self) -> list[Cell]:
        """All cells that are asked for."""
        cells = (cell for group in self.groups for row in group.rows for cell in row.cells)
        return [cell for cell in cells if cell.state != "not asked for"]


def fill(paper: Paper, models: Sequence[TrainedModel]) -> list[FilledExhibit]:
    """Every table and figure of the paper, filled from the models that runs have trained."""
    return [_filled(paper, models, exhibit) for exhibit in paper.exhibit]


def _filled(paper: Paper, models: Sequence[TrainedModel], exhibit: Exhibit) -> FilledExhibit:
    groups = []
    for group in exhibit.group:
        rows = []
        for row in group.rows:
            wanted = list(paper.cells_of(exhibit, group, row))
            scores = [query for _, query, _ in wanted if query.metric is not None]
            cells = [
                _with_published(_cell(paper, models, query, scores), query, number, exhibit)
                for column, query, number in wanted
                if exhibit.shows(column)
            ]
            rows.append(FilledRow(row.label, tuple(cells), row.decimals))
        groups.append(FilledGroup(group.label, tuple(rows)))
    shown = tuple(column for column in paper.columns_of(exhibit) if exhibit.shows(column))
    return FilledExhibit(exhibit, shown, tuple(groups))


def _cell(paper: Paper, models: Sequence[TrainedModel], query: Query, scores: Sequence[Query]) -> Cell:
    """A cell of a row whose scores are ``scores``."""
    if query.quantity == "latency":
        return _latency(paper, models, query)
    if query.quantity == "average":
        return _average(paper, models, scores)
    if query.quantity == "gain":
        return _gain(paper, models, query, scores)
    return _score(paper, models, query)


def _score(paper: Paper, models: Iterable[TrainedModel], query: Query) -> Cell:
    assert query.set is not None
    assert query.metric is not None
    of, whole = (query.set, query.metric), paper.sets[query.set].questions

    def found(model: TrainedModel) -> Score | CellState | None:
        if query.step is not None:
            at_end = None if model.state == "finished" or of not in model.asked_for else model.state
            return model.curve.get((*of, query.step), at_end)
        state = model.asked_for.get(of)
        return model.scores.get(of, None if state == "finished" else state)

    def read(model: TrainedModel) -> _Reading | CellState | None:
        score = found(model)
        if not isinstance(score, Score):
            return score
        is_part = score.questions < whole and "rehearsal" not in model.marks
        less: frozenset[Mark] = frozenset({"fewer questions"} if is_part else ())
        return _Reading(score.value, model.marks | less, model)

    return _best(map(read, _trained(models, query)))


def _latency(paper: Paper, models: Sequence[TrainedModel], query: Query) -> Cell:
    """Time of a step relative to the baseline's on the same data; the mean over the training sets that have one."""

    def read(model: TrainedModel) -> _Reading | CellState | None:
        if model.step_seconds is None:
            return None if model.state == "finished" else model.state
        student = query.beside or query.student
        assert paper.baseline.method is not None
        baseline = Query(student, None, paper.baseline.method, trained_on=model.trained.trained_on)
        # of the same run if it has one: times of two machines say nothing about methods
        rivals = sorted(_trained(models, baseline), key=lambda rival: rival.run != model.run)
        alike = (r for r in rivals if ("rehearsal" in r.marks) == ("rehearsal" in model.marks))
        seconds = next((rival.step_seconds for rival in alike if rival.step_seconds is not None), None)
        return None if seconds is None else _Reading(model.step_seconds / seconds, model.marks, model)

    by_set = [
        _best(map(read, _trained(models, replace(query, trained_on=name)))) for name in paper.training_sets
    ]
    return _mean([cell for cell in by_set if cell.state == "filled"] or by_set)


def _average(paper: Paper, models: Sequence[TrainedModel], scores: Iterable[Query]) -> Cell:
    return _mean([_score(paper, models, query) for query in scores])


def _gain(paper: Paper, models: Sequence[TrainedModel], query: Query, scores: Sequence[Query]) -> Cell:
    if query.student is None or query.teacher is None:
        return Cell("not asked for")
    assert paper.baseline.method is not None
    alone = [
        replace(score, teacher=None, method=paper.baseline.method, options=frozenset()) for score in scores
    ]
    own, baseline = _average(paper, models, scores), _average(paper, models, alone)
    both = _mean([own, baseline])
    if own.value is None or baseline.value is None:
        return both
    return replace(both, value=own.value - baseline.value)


@dataclass(frozen=True)
class _Reading:
    """A value that one model gives for a cell."""

    value: float
    marks: frozenset[Mark]
    model: TrainedModel

    @property
    def rank(self) -> tuple[bool, ...]:
        return tuple(mark in self.marks for mark in _LESS_LIKE)

    @property
    def source(self) -> str:
        return f"{self.model.run.name}/{self.model.stage}"


def _trained(models: Iterable[TrainedModel], query: Query) -> Iterator[TrainedModel]:
    """The models that a query is of, whatever it measures of them."""
    of = replace(query, set=None, metric=None, step=None, quantity=None, beside=None)
    return (model for model in models if model.trained == of)


def _best(found: Iterable[_Reading | CellState | None]) -> Cell:
    """The cell of those readings that are most like the paper: the mean over seeds, of each the latest."""
    said = list(found)
    readings = [reading for reading in said if isinstance(reading, _Reading)]
    if not readings:
        return Cell(next((state for state in _WORST_FIRST if state in said), "missing"))
    best = min(reading.rank for reading in readings)
    latest: dict[object, _Reading] = {}
    for reading in sorted((r for r in readings if r.rank == best), key=lambda r: r.model.order):
        latest[reading.model.seeds] = reading
    kept = list(latest.values())
    return Cell(
        "filled",
        fmean(reading.value for reading in kept),
        len(kept),
        frozenset().union(*(reading.marks for reading in kept)),
        frozenset(reading.source for reading in kept),
    )


def _mean(cells: Sequence[Cell]) -> Cell:
    """The mean of cells that are all filled, or the worst state of those that are not."""
    values = [cell.value for cell in cells if cell.value is not None]
    if not values or len(values) < len(cells):
        states = {cell.state for cell in cells}
        return Cell(next((state for state in _WORST_FIRST if state in states), "missing"))
    return Cell(
        "filled",
        fmean(values),
        min(cell.runs for cell in cells),
        frozenset().union(*(cell.marks for cell in cells)),
        frozenset().union(*(cell.sources for cell in cells)),
    )


def _with_published(cell: Cell, query: Query, number: float | None, exhibit: Exhibit) -> Cell:
    if number is not None:
        return replace(cell, published=number, published_in=exhibit.name)
    elsewhere = published().get(query)
    return cell if elsewhere is None else replace(cell, published=elsewhere[0], published_in=elsewhere[1])
