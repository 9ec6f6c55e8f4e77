"""A database's schema as prompts show it: with the first values of each column, and comments."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from kdzoo.errors import RunError
from kdzoo.tasks.sql.schema import Column, Schema, Table, open_read_only, quoted, read_tables, table_names

_VALUES_SHOWN = 2
_LONGEST_VALUE = 25

# Lower-case (table, column) -> what the dataset calls the column in plain words.
Comments = Mapping[tuple[str, str], str]


def read_schema(path: Path, comments: Comments | None = None) -> Schema:
    """Read tables, columns, keys, and the first two distinct values of at most 25 characters of each column.

    Raises:
        RunError: the file is not a SQLite database, or a damaged one.
    """
    with closing(open_read_only(path)) as connection:
        try:
            schema = read_tables(connection, table_names(connection), _first_values)
        except sqlite3.Error as error:
            raise RunError(f"{path}: its schema cannot be read: {error}") from None
    names = {table.name for table in schema.tables}
    # a reference to a table that does not exist helps nobody
    keys = tuple(key for key in schema.foreign_keys if key.other_table in names)
    return with_comments(replace(schema, foreign_keys=keys), comments or {})


def with_comments(schema: Schema, comments: Comments) -> Schema:
    """The schema with these comments on its columns, and no others."""

    def commented(table: Table, column: Column) -> Column:
        return replace(column, comment=comments.get((table.name.lower(), column.name.lower()), ""))

    tables = tuple(Table(t.name, tuple(commented(t, column) for column in t.columns)) for t in schema.tables)
    return replace(schema, tables=tables)


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
