"""Reading a SQLite database's schema, with a few values of each column."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from kdzoo.errors import RunError

_VALUES_SHOWN = 2
_LONGEST_VALUE = 25


@dataclass(frozen=True)
class Column:
    """One column; ``comment`` is what its dataset calls it in plain words, ``values`` its first two short values."""

    name: str
    type: str
    primary_key: bool
    comment: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table with its columns in their order."""

    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class ForeignKey:
    """``table.column`` refers to ``other_table.other_column``."""

    table: str
    column: str
    other_table: str
    other_column: str


@dataclass(frozen=True)
class Schema:
    """A database's tables and foreign keys."""

    tables: tuple[Table, ...]
    foreign_keys: tuple[ForeignKey, ...]


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open a database file so that nothing can be written; text that is not UTF-8 loses its bad bytes.

    Raises:
        RunError: the file cannot be opened.
    """
    try:
        connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1", uri=True)
        connection.text_factory = lambda raw: raw.decode("utf-8", errors="ignore")
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        raise RunError(f"{path}: cannot be read as a SQLite database: {error}") from None
    return connection


def read_schema(path: Path, comments: dict[tuple[str, str], str] | None = None) -> Schema:
    """Read tables, columns, keys and first values. ``comments`` maps lower-case (table, column) to plain words."""
    connection = open_read_only(path)
    try:
        names = [
            row[0]
            for row in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
            )
        ]
        tables = tuple(_table(connection, name, comments or {}) for name in names)
        keys = tuple(key for name in names for key in _foreign_keys(connection, name, tables))
        return Schema(tables, keys)
    except sqlite3.Error as error:
        raise RunError(f"{path}: its schema cannot be read: {error}") from None
    finally:
        connection.close()


def quoted(name: str) -> str:
    """A name as SQLite accepts it anywhere."""
    return '"' + name.replace('"', '""') + '"'


def _table(connection: sqlite3.Connection, name: str, comments: dict[tuple[str, str], str]) -> Table:
    columns = []
    for _, column, kind, _, _, key in connection.execute(f"PRAGMA table_info({quoted(name)})").fetchall():
        comment = comments.get((name.lower(), column.lower()), "")
        values = _values(connection, name, column)
        columns.append(Column(column, (kind or "text").lower(), bool(key), comment, values))
    return Table(name, tuple(columns))


def _values(connection: sqlite3.Connection, table: str, column: str) -> tuple[str, ...]:
    """The first distinct values that are not null and short, in the order of the rows."""
    name = quoted(column)
    rows = connection.execute(
        f"SELECT DISTINCT {name} FROM {quoted(table)} WHERE {name} IS NOT NULL AND length({name}) <= ? "
        f"AND typeof({name}) != 'blob' AND {name} != '' LIMIT ?",
        (_LONGEST_VALUE, _VALUES_SHOWN),
    )
    return tuple(" ".join(str(row[0]).split()) for row in rows)


def _foreign_keys(connection: sqlite3.Connection, name: str, tables: tuple[Table, ...]) -> list[ForeignKey]:
    keys = []
    # SQLite lists the last declared key first
    for row in reversed(connection.execute(f"PRAGMA foreign_key_list({quoted(name)})").fetchall()):
        other_table, column, other_column = row[2], row[3], row[4]
        if other_column is None:
            # a reference without a column means the primary key
            found = [c.name for t in tables if t.name.lower() == other_table.lower() for c in t.columns if c.primary_key]
            if not found:
                continue
            other_column = found[0]
        keys.append(ForeignKey(name, column, other_table, other_column))
    return keys
