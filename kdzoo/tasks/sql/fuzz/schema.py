"""What a random database must share with the one that it stands for."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from kdzoo.errors import RunError
from kdzoo.tasks.sql.schema import ForeignKey, Schema, Table, open_read_only, quoted, read_tables

# How many of a column's values are looked at.
_VALUES = 500


def read_schema(database: Path) -> Schema:
    """Read a database's tables, parents before their children where there is no cycle, with distinct values.

    The statements create all anew, indices and views too.

    Raises:
        RunError: it cannot be read.
    """
    with closing(open_read_only(database)) as connection:
        try:
            return _read(connection)
        except sqlite3.Error as error:
            raise RunError(f"{database}: cannot be read: {error}") from None


def _read(connection: sqlite3.Connection) -> Schema:
    created = connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*' AND "
        "type IN ('table', 'index', 'view') ORDER BY type = 'view', type = 'index', rowid"
    ).fetchall()
    names = [
        name
        for kind, name, sql in created
        if kind == "table" and not sql.upper().startswith("CREATE VIRTUAL")
    ]
    schema = read_tables(connection, names, _distinct_values)
    tables = _parents_first(schema.tables, schema.foreign_keys)
    return replace(schema, tables=tuple(tables), statements=tuple(sql for _, _, sql in created))


def _distinct_values(connection: sqlite3.Connection, table: str, column: str) -> tuple[Any, ...]:
    rows = connection.execute(
        f"SELECT DISTINCT {quoted(column)} FROM {quoted(table)} "
        f"WHERE {quoted(column)} IS NOT NULL LIMIT {_VALUES}"
    )
    return tuple(value for (value,) in rows)


def _parents_first(tables: Sequence[Table], keys: Sequence[ForeignKey]) -> list[Table]:
    ordered: list[Table] = []
    waiting = list(tables)
    while waiting:
        left = {table.name for table in waiting}
        children = {key.table for key in keys if key.other_table in left - {key.table}}
        ready = [table for table in waiting if table.name not in children]
        # in a cycle somebody must be first
        ordered += ready or waiting[:1]
        waiting = [table for table in waiting if table not in ordered]
    return ordered
