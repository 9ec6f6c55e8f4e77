"""Reading a SQLite database's schema, with the first values of each column."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from kdzoo.errors import RunError
from kdzoo.tasks.sql.journals import settled

_VALUES_SHOWN = 2
_LONGEST_VALUE = 25

# Lower-case (table, column) -> what the dataset calls the column in plain words.
Comments = Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Column:
    """One column; ``comment`` is its name in plain words, ``values`` its first two short values."""

    name: str
    type: str
    primary_key: bool = False
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
    foreign_keys: tuple[ForeignKey, ...] = ()


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


def read_schema(path: Path, comments: Comments | None = None) -> Schema:
    """Read tables, columns, keys, and the first two distinct values of at most 25 characters of each column.

    Raises:
        RunError: the file is not a SQLite database, or a damaged one.
    """
    connection = open_read_only(path)
    try:
        names = table_names(connection)
        tables = tuple(_table(connection, name, comments or {}) for name in names)
        keys = tuple(key for name in names for key in _foreign_keys(connection, name, tables))
        return Schema(tables, keys)
    except sqlite3.Error as error:
        raise RunError(f"{path}: its schema cannot be read: {error}") from None
    finally:
        connection.close()


def table_names(connection: sqlite3.Connection) -> list[str]:
    """The names of a database's own tables, in the order of their creation."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
    return [row[0] for row in rows if not row[0].startswith("sqlite_")]


def quoted(name: str) -> str:
    """A name as SQLite accepts it anywhere."""
    return '"' + name.replace('"', '""') + '"'


def _table(connection: sqlite3.Connection, name: str, comments: Comments) -> Table:
    columns = []
    for _, column, kind, _, _, key in connection.execute(f"PRAGMA table_info({quoted(name)})").fetchall():
        comment = comments.get((name.lower(), column.lower()), "")
        values = _first_values(connection, name, column)
        columns.append(Column(column, (kind or "text").lower(), bool(key), comment, values))
    return Table(name, tuple(columns))


def _first_values(connection: sqlite3.Connection, table: str, column: str) -> tuple[str, ...]:
    """The first distinct values as they are shown; null, binary, long and blank ones are passed over."""
    name = quoted(column)
    # an index on the column would give the values in its own order
    rows = connection.execute(
        f"SELECT DISTINCT {name} FROM {quoted(table)} NOT INDEXED WHERE {name} IS NOT NULL "
        f"AND length({name}) <= {_LONGEST_VALUE} AND typeof({name}) != 'blob'"
    )
    found: list[str] = []
    for (value,) in rows:
        shown = " ".join(str(value).split())
        if shown and shown not in found:
            found.append(shown)
        if len(found) == _VALUES_SHOWN:
            break
    return tuple(found)


def _foreign_keys(connection: sqlite3.Connection, name: str, tables: tuple[Table, ...]) -> list[ForeignKey]:
    keys = []
    # SQLite lists the key that was declared last first
    rows = sorted(
        connection.execute(f"PRAGMA foreign_key_list({quoted(name)})").fetchall(),
        key=lambda row: (-row[0], row[1]),
    )
    for _, sequence, other_table, column, other_column, *_ in rows:
        other = next((t for t in tables if t.name.lower() == other_table.lower()), None)
        if other is None:
            continue  # a reference to a table that does not exist helps nobody
        if other_column is None:
            # a reference without a column means the primary key
            primary = [c.name for c in other.columns if c.primary_key]
            if sequence >= len(primary):
                continue
            other_column = primary[sequence]
        keys.append(ForeignKey(name, column, other.name, other_column))
    return keys
