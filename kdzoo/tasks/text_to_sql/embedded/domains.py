"""The domains of the embedded benchmark: tables, columns, how people speak of them, where values come from."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Label:
    """A text column that names its row; every value is different, a word of each list in ``words``."""

    name: str
    phrases: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Category:
    """A text column with few values."""

    name: str
    phrases: tuple[str, ...]
    values: tuple[str, ...]


@dataclass(frozen=True)
class Number:
    """An integer column; ``most`` and ``least`` are the words for its extremes ("oldest", "youngest")."""

    name: str
    phrases: tuple[str, ...]
    low: int
    high: int
    most: str
    least: str


@dataclass(frozen=True)
class TableSpec:
    """A table with a label, and other columns in order. ``nouns`` are plurals; ``singular`` is the first's."""

    name: str
    nouns: tuple[str, ...]
    singular: str
    label: Label
    columns: tuple[Category | Number, ...]
    rows: int

    @property
    def key(self) -> str:
        """The name of the primary key."""
        return f"{self.name}_id"

    @property
    def categories(self) -> list[Category]:
        """The columns with few values."""
        return [column for column in self.columns if isinstance(column, Category)]

    @property
    def numbers(self) -> list[Number]:
        """The integer columns."""
        return [column for column in self.columns if isinstance(column, Number)]


@dataclass(frozen=True)
class Domain:
    """A database of two tables. A row of ``child`` belongs to one of ``parent``; "singers made albums"."""

    name: str
    parent: TableSpec
    child: TableSpec
    verb: str


# So many rows that two different conditions seldom choose the same ones.
_PARENT_ROWS = 90
_CHILD_ROWS = 360


@cache
def domains() -> tuple[Domain, ...]:
    """All domains, in the order in which a benchmark of fewer takes them."""
    content = tomllib.loads(Path(__file__).with_name("domains.toml").read_text(encoding="utf-8"))
    return tuple(
        Domain(
            domain["name"],
            _table(domain["parent"], _PARENT_ROWS, content),
            _table(domain["child"], _CHILD_ROWS, content),
            domain["verb"],
        )
        for domain in content["domain"]
    )


def _table(table: dict[str, Any], rows: int, content: dict[str, Any]) -> TableSpec:
    label = table["label"]
    words = tuple(tuple(words) for words in content["labels"][label["made_of"]])
    return TableSpec(
        table["name"],
        tuple(table["nouns"]),
        table["singular"],
        Label(label["name"], tuple(label["phrases"]), words),
        tuple(_column(column, content) for column in table["columns"]),
        rows,
    )


def _column(column: dict[str, Any], content: dict[str, Any]) -> Category | Number:
    phrases = tuple(column["phrases"])
    if "values" in column:
        values = column["values"]
        listed = content["values"][values] if isinstance(values, str) else values
        return Category(column["name"], phrases, tuple(listed))
    return Number(column["name"], phrases, column["low"], column["high"], column["most"], column["least"])
