"""What a random database must share with the one that it stands for."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from kdzoo.errors import RunError
from kdzoo.tasks.sql.journals import settled

Kind = Literal["integer", "real", "text"]

# How many of a column's values are looked at.
_VALUES = 500


@dataclass(frozen=True)
class Column:
    """One column; ``values`` are distinct values that it has in the database."""

    name: str
    kind: Kind
    required: bool
    values: tuple[Any, ...]


@dataclass(frozen=True)
class ForeignKey:
    """``columns`` refer to ``other_columns`` of ``other_table``; names in lower case."""

    columns: tuple[str, ...]
    other_table: str
    other_columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One table; names of keys in lower case."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...]


@dataclass(frozen=True)
class Schema:
    """Tables, parents before their children where there is no cycle, and the statements that create all."""

    tables: tuple[Table, ...]
    statements: tuple[str, ...] = field(default=())


def read_schema(database: Path) -> Schema:
    """Read a database's tables, keys and some values.

    Raises:
        RunError: it cannot be read.
    """
    try:
        with settled(database) as file:
            address = f"file:{quote(str(file.resolve()))}?mode=ro&immutable=1"
            with closing(sqlite3.connect(address, uri=True)) as connection:
                connection.text_factory = lambda raw: raw.decode("utf-8", errors="ignore")
                return _read(connection)
    except sqlite3.Error as error:
        raise RunError(f"{database}: cannot be read: {error}") from None


def quoted(name: str) -> str:
    """A name as SQLite accepts it anywhere."""
    return '"' + name.replace('"', '""') + '"'


def _read(connection: sqlite3.Connection) -> Schema:
    created = connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*' AND "
        "type IN ('table', 'index', 'view') ORDER BY type = 'view', type = 'index', rowid"
    ).fetchall()
    tables = [
        _table(connection, name)
        for kind, name, sql in created
        if kind == "table" and not sql.upper().startswith("CREATE VIRTUAL")
    ]
    return Schema(tuple(_parents_first(tables)), tuple(sql for _, _, sql in created))


def _table(connection: sqlite3.Connection, name: str) -> Table:
    columns, key = [], []
    for _, column, declared, required, _, place, hidden in connection.execute(
        f"PRAGMA table_xinfo({quoted(name)})"
    ).fetchall():
        if hidden:
            continue  # generated: nobody writes it
        rows = connection.execute(
            f"SELECT DISTINCT {quoted(column)} FROM {quoted(name)} "
            f"WHERE {quoted(column)} IS NOT NULL LIMIT {_VALUES}"
        )
        values = tuple(value for (value,) in rows)
        columns.append(Column(column, _kind(declared or ""), bool(required), values))
        if place:
            key.append((place, column.lower()))
    return Table(
        name, tuple(columns), tuple(c for _, c in sorted(key)), tuple(_foreign_keys(connection, name))
    )


def _foreign_keys(connection: sqlite3.Connection, name: str) -> list[ForeignKey]:
    parts: dict[int, list[tuple[str, str, str | None]]] = {}
    for number, _, other, column, other_column, *_ in sorted(
        connection.execute(f"PRAGMA foreign_key_list({quoted(name)})").fetchall()
    ):
        parts.setdefault(number, []).append((other, column, other_column))
    keys = []
    for pairs in parts.values():
        other = pairs[0][0]
        referred = [column for _, _, column in pairs]
        if None in referred:  # the primary key is meant
            rows = connection.execute(f"PRAGMA table_info({quoted(other)})").fetchall()
            referred = [row[1] for row in sorted(rows, key=lambda row: row[5]) if row[5]]
        if len(referred) == len(pairs):
            columns = tuple(column.lower() for _, column, _ in pairs)
            keys.append(ForeignKey(columns, other.lower(), tuple(str(c).lower() for c in referred)))
    return keys


def _kind(declared: str) -> Kind:
    """The kind of values of a declared type, by SQLite's rules of affinity."""
    declared = declared.upper()
    if "INT" in declared or "BOOL" in declared:
        return "integer"
    if any(part in declared for part in ("REAL", "FLOA", "DOUB", "NUM", "DEC")):
        return "real"
    return "text"


def _parents_first(tables: list[Table]) -> list[Table]:
    ordered: list[Table] = []
    waiting = list(tables)
    while waiting:
        left = {table.name.lower() for table in waiting}
        ready = [
            t for t in waiting if not any(k.other_table in left - {t.name.lower()} for k in t.foreign_keys)
        ]
        # in a cycle somebody must be first
        ordered += ready or waiting[:1]
        waiting = [table for table in waiting if table not in ordered]
    return ordered
