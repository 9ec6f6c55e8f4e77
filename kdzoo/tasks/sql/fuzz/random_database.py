"""Writing a random database under a given schema."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdzoo.tasks.sql.fuzz.constants import Constants
from kdzoo.tasks.sql.fuzz.values import cell, pool, unique_pool
from kdzoo.tasks.sql.schema import Column, ForeignKey, Schema, Table, quoted

_TABLE_SIZES = (2, 5, 10, 20, 40)
_POOL_SIZES = (2, 4, 8, 16)

# How often rows whose references lead nowhere are looked for: each time may bring up others.
_MOST_CLEANINGS = 20

Row = dict[str, Any]


def write_random_database(path: Path, schema: Schema, constants: Constants, source: random.Random) -> None:
    """Write a new database file: the schema's tables with random rows that keep to types and keys.

    Raises:
        sqlite3.Error: the schema cannot be created anew.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        # nothing is lost with a file that is not finished
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for statement in schema.statements:
            connection.execute(statement)
        rows: dict[str, list[Row]] = {}
        for table in schema.tables:
            # of keys that share a column, the one declared first has the last word
            keys = [key for key in reversed(schema.foreign_keys) if key.table == table.name]
            rows[table.name] = _fill(connection, table, keys, rows, constants, source)
        _drop_lost_references(connection)
        connection.execute("COMMIT")
    finally:
        connection.close()


def _fill(
    connection: sqlite3.Connection,
    table: Table,
    keys: Sequence[ForeignKey],
    others: dict[str, list[Row]],
    constants: Constants,
    source: random.Random,
) -> list[Row]:
    size = source.choice(_TABLE_SIZES)
    pools = {column.name: _pool(table, column, constants, size, source) for column in table.columns}
    names = ", ".join(quoted(column.name) for column in table.columns)
    marks = ", ".join("?" * len(table.columns))
    # OR IGNORE leaves out rows that break a key or a check
    insert = f"INSERT OR IGNORE INTO {quoted(table.name)} ({names}) VALUES ({marks})"
    written: list[Row] = []
    for number in range(size):
        row: Row = {}
        for column in table.columns:
            name = column.name
            is_key = table.primary_key == (name,)
            row[name] = pools[name][number] if is_key else cell(column, pools[name], source)
        _refer(row, number, table, keys, {**others, table.name: written}, source)
        if connection.execute(insert, list(row.values())).rowcount == 1:
            written.append(row)
    return written


def _refer(
    row: Row,
    number: int,
    table: Table,
    keys: Sequence[ForeignKey],
    known: dict[str, list[Row]],
    source: random.Random,
) -> None:
    """Let a row's foreign keys name rows that are there, or nothing."""
    for key in keys:
        rows = known.get(key.other_table, [])
        if not rows:
            row.update({column: None for column in key.columns if column not in table.primary_key})
            continue
        # a key that refers must not refer twice to the same
        other = rows[number % len(rows)] if key.columns == table.primary_key else source.choice(rows)
        row.update({c: other.get(o) for c, o in zip(key.columns, key.other_columns, strict=True)})


def _pool(table: Table, column: Column, constants: Constants, size: int, source: random.Random) -> list[Any]:
    compared_with = constants.get(column.name.lower(), [])
    if table.primary_key == (column.name,):
        return unique_pool(column, compared_with, size, source)
    return pool(column, compared_with, source.choice(_POOL_SIZES), source)


def _drop_lost_references(connection: sqlite3.Connection) -> None:
    """Delete rows that refer to rows which are not there: tables in a cycle may have such."""
    for _ in range(_MOST_CLEANINGS):
        try:
            lost = connection.execute("PRAGMA foreign_key_check").fetchall()
        except sqlite3.Error:
            return  # the schema refers to what is no key: the original cannot keep to it either
        if not lost:
            return
        for table, row, *_ in lost:
            if row is not None:
                connection.execute(f"DELETE FROM {quoted(table)} WHERE rowid = ?", (row,))
