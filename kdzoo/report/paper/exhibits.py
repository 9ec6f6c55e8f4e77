"""The paper's tables and figures: what each of their cells is of, and the number that the paper has there."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kdzoo.methods import registry

_FILE = Path(__file__).with_name("exhibits.toml")

Quantity = Literal["latency", "average", "gain"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Criteria(_Table):
    """What an exhibit, a group, a row or a column says of its cells; see exhibits.toml."""

    student: str | None = None
    teacher: str | None = None
    model: Literal["student", "teacher"] | None = None
    method: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    trained_on: str | None = None
    set: str | None = None
    metric: str | None = None
    step: int | None = None
    quantity: Quantity | None = None


class Column(Criteria):
    """A column; its numbers are shown with so many ``decimals``."""

    label: str
    decimals: int = 1


class Row(Criteria):
    """A row, with the paper's numbers in the order of the columns; "" stands for one that is not known.

    ``decimals`` count instead of the columns'.
    """

    label: str
    decimals: int | None = None
    published: tuple[float | Literal[""], ...] = ()


class Group(_Table):
    """Rows that stand together under one heading."""

    label: str = ""
    cell: Criteria = Criteria()
    rows: tuple[Row, ...]


class Exhibit(_Table):
    """A table or figure. ``columns_of`` names another whose columns it has, ``columns_shown`` those that are shown."""

    name: str
    title: str
    cell: Criteria = Criteria()
    columns: tuple[Column, ...] = ()
    columns_of: str | None = None
    columns_shown: tuple[str, ...] = ()
    group: tuple[Group, ...]

    def shows(self, column: Column) -> bool:
        """Whether a column is shown, or only counts for an average."""
        return not self.columns_shown or column.label in self.columns_shown


class EvaluationSetOfThePaper(_Table):
    """How an evaluation set is recognised, and how many questions it has."""

    kind: str
    file: str
    keys: dict[str, Any] = Field(default_factory=dict)
    questions: int


class Paper(_Table):
    """All of exhibits.toml."""

    baseline: Criteria
    models: dict[str, str]
    sets: dict[str, EvaluationSetOfThePaper]
    training_sets: dict[str, str]
    metrics: dict[str, float]
    settings: dict[str, dict[str, float]]
    given_options: dict[str, tuple[str, ...]]
    exhibit: tuple[Exhibit, ...]

    def columns_of(self, exhibit: Exhibit) -> tuple[Column, ...]:
        """An exhibit's columns, its own or those of another."""
        if exhibit.columns_of is None:
            return exhibit.columns
        return self.columns_of(next(other for other in self.exhibit if other.name == exhibit.columns_of))

    def cells_of(
        self, exhibit: Exhibit, group: Group, row: Row
    ) -> Iterator[tuple[Column, Query, float | None]]:
        """Each cell of a row, with the number that stands there in the paper."""
        columns = self.columns_of(exhibit)
        numbers = (*row.published, *[""] * (len(columns) - len(row.published)))
        for column, number in zip(columns, numbers, strict=True):
            query = self._query(exhibit.cell, group.cell, row, column)
            yield column, query, number if isinstance(number, float | int) else None

    def given(self, method: str, options: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
        """Those of a method's options that the paper gives, without those that have their defaults."""
        defaults = default_options(method)
        given = self.given_options.get(method, ())
        return frozenset((k, v) for k, v in options.items() if k in given and v != defaults.get(k))

    def _query(self, *criteria: Criteria) -> Query:
        said: dict[str, Any] = {}
        for one in criteria:
            said |= one.model_dump(exclude_unset=True, include=set(Criteria.model_fields))
        is_teacher = said.get("model") == "teacher"
        method = self.baseline.method if is_teacher else said.get("method")
        assert method is not None
        learns_alone = not is_teacher and not registry.find(method).method.uses_teacher
        return Query(
            student=None if is_teacher else said.get("student"),
            teacher=None if learns_alone else said.get("teacher"),
            method=method,
            options=self.given(method, said.get("options", {})),
            trained_on=said.get("trained_on"),
            set=said.get("set"),
            metric=said.get("metric"),
            step=said.get("step"),
            quantity=said.get("quantity"),
            beside=said.get("student") if is_teacher else None,
        )


@dataclass(frozen=True)
class Query:
    """What a cell is of, in the paper's words: a model, how and on what it was trained, and what is measured of it.

    It is the teacher itself where ``student`` is None; ``beside`` is then the student whose baseline its latency is
    relative to. ``teacher`` is None for a student that learns alone. ``options`` are those given that are not defaults.
    """

    student: str | None
    teacher: str | None
    method: str
    options: frozenset[tuple[str, Any]] = frozenset()
    trained_on: str | None = None
    set: str | None = None
    metric: str | None = None
    step: int | None = None
    quantity: Quantity | None = None
    beside: str | None = None


def default_options(method: str) -> dict[str, Any]:
    """The options of a method that a recipe gives none of, by the names that a recipe calls them."""
    return registry.find(method).method.options().model_dump(mode="json", by_alias=True)


@cache
def the_paper() -> Paper:
    """The paper's exhibits."""
    return Paper.model_validate(tomllib.loads(_FILE.read_text(encoding="utf-8")))


@cache
def published() -> Mapping[Query, tuple[float, str]]:
    """The paper's numbers, each with the first exhibit that prints it."""
    paper, found = the_paper(), dict[Query, tuple[float, str]]()
    for exhibit in paper.exhibit:
        for group in exhibit.group:
            for row in group.rows:
                for _, query, number in paper.cells_of(exhibit, group, row):
                    if number is not None:
                        found.setdefault(query, (number, exhibit.name))
    return found
