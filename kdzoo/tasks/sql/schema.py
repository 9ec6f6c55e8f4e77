"""A SQLite database's schema: its tables, columns and keys, and what of their values the caller looks at."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from kdzoo.errors import RunError
from kdzoo.tasks.sql.journals import settled

Affinity = Literal["integer", "real", "text"]


@dataclass(frozen=True)
class Column:
    """One column. ``type`` is the declared one in lower case, "text" where there is none.

    ``primary_key`` is its place in the primary key, counted from 1, and 0 where it has none. ``comment`` is its name in
    plain words, and ``values`` are some that it has.
    """

    name: str
    type: str
    primary_key: int = 0
    comment: str = ""
    values: tuple[Any, ...] = ()
    required: bool = False

    @property
    def affinity(self) -> Affinity:
        """What its type makes of values, after SQLite's rules of affinity."""
        if "int" in self.type or "bool" in self.type:
            return "integer"
        if any(part in self.type for part in ("real", "floa", "doub", "num", "dec")):
            return "real"
        return "text"


@dataclass(frozen=True)
class Table:
    """One table with its columns in their order."""

    name: str
    columns: tuple[Column, ...]

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The names of the primary key's columns, in its order."""
        places = sorted((column.primary_key, column.name) for column in self.columns if column.primary_key)
        return tuple(name for _, name in places)


@dataclass(frozen=True)
class ForeignKey:
    """``columns`` of ``table`` refer to as many ``other_columns`` of ``other_table``."""

    table: str
    columns: tuple[str, ...]
    other_table: str
    other_columns: tuple[str, ...]

    @property
    def pairs(self) -> list[tuple[tuple[str, str], tuple[str, str]]]:
        """Which (table, column) refers to which."""
        return [
            ((self.table, column), (self.other_table, other))
            for column, other in zip(self.columns, self.other_columns, strict=True)
        ]


@dataclass(frozen=True)
class Schema:
    """A database's tables and foreign keys, and the statements that create all of it where they were asked for."""

    tables: tuple[Table, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    statements: tuple[str, ...] = ()


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open a database file so that nothing can be written; text that is not UTF-8 loses its bad bytes.

    Rows that still stand in its journals are read, too.

    Raises:
        RunError: the file cannot be opened, or is not a SQLite database.
    """
    # a copy that was needed for this is gone when the block ends, and stays readable while it is open
    with settled(path) as file:
        try:
            connection = sqlite3.connect(f"file:{quote(str(file.resolve()))}?mode=ro&immutable=1", uri=True)
        except sqlite3.Error as error:
            raise RunError(f"{path}: cannot be opened: {error}") from None
        connection.text_factory = lambda raw: raw.decode("utf-8", errors="ignore")
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            connection.close()
            raise RunError(f"{path}: cannot be read as a SQLite database: {error}") from None
    return connection


def table_names(connection: sqlite3.Connection) -> list[str]:
    """The names of a database's own tables, in the order of their creation."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
    return [row[0] for row in rows if not row[0].startswith("sqlite_")]


def read_tables(
    connection: sqlite3.Connection,
    names: Sequence[str],
    values_of: Callable[[sqlite3.Connection, str, str], tuple[Any, ...]],
) -> Schema:
    """Read the tables of these names and their keys, in the order of declaration; keys name what they refer to as it is
    named where it is declared.

    ``values_of`` gives a column's values, by the names of its table and its own. Generated columns are left out: nobody
    writes them. A key that names no columns refers to the other table's primary key, and is left out if that has not as
    many. A key to a table that is not there is kept.

    Raises:
        sqlite3.Error: they cannot be read.
    """
    tables = [_table(connection, name, values_of) for name in names]
    keys = [key for table in tables for key in _foreign_keys(connection, table, tables)]
    return Schema(tuple(tables), tuple(keys))


def quoted(name: str) -> str:
    """A name as SQLite accepts it anywhere."""
    return '"' + name.replace('"', '""') + '"'


def _table(
    connection: sqlite3.Connection,
    name: str,
    values_of: Callable[[sqlite3.Connection, str, str], tuple[Any, ...]],
) -> Table:
    columns = [
        Column(
            column,
            (declared or "text").lower(),
            primary_key=place,
            values=values_of(connection, name, column),
            required=bool(required),
        )
        for _, column, declared, required, _, place in connection.execute(
            f"PRAGMA table_info({quoted(name)})"
        ).fetchall()
    ]
    return Table(name, tuple(columns))


def _foreign_keys(
    connection: sqlite3.Connection, table: Table, tables: Sequence[Table]
) -> Iterator[ForeignKey]:
    parts: dict[int, list[Any]] = {}
    for number, sequence, other, column, other_column, *_ in connection.execute(
        f"PRAGMA foreign_key_list({quoted(table.name)})"
    ):
        parts.setdefault(number, []).append((sequence, other, column, other_column))
    # SQLite numbers the key that was declared last 0
    for _, rows in sorted(parts.items(), reverse=True):
        _, named, columns, referred = zip(*sorted(rows), strict=True)
        other = next((t for t in tables if t.name.lower() == named[0].lower()), Table(named[0], ()))
        if None in referred:
            referred = other.primary_key
        own = {column.name.lower(): column.name for column in other.columns}
        referred = tuple(own.get(name.lower(), name) for name in referred)
        if len(referred) == len(columns):
            yield ForeignKey(table.name, columns, other.name, referred)
