"""Filling the embedded benchmark's databases with rows."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

from kdzoo.files import temporary_name
from kdzoo.tasks.text_to_sql.embedded.domains import Category, Domain, TableSpec

Row = tuple[int | str, ...]


def make_rows(domain: Domain, seed: int | str) -> tuple[list[Row], list[Row]]:
    """Make the rows of a domain's parent and child table; the same for the same seed, everywhere.

    A child's row is its key, its parent's key, then its label and columns. Some parents have no children.
    """
    source = random.Random(f"rows:{domain.name}:{seed}")
    parents = _table_rows(domain.parent, source)
    with_children = source.sample(range(1, len(parents) + 1), len(parents) * 3 // 4)
    children: list[Row] = []
    for key, *values in _table_rows(domain.child, source):
        # squaring makes some parents richer in children than others
        parent = with_children[int(len(with_children) * source.random() ** 2)]
        children.append((key, parent, *values))
    return parents, children


def write_database(domain: Domain, seed: int | str, path: Path) -> None:
    """Write a domain's SQLite file under a temporary name and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # two runs may make the same database at the same time
    temporary = temporary_name(path)
    temporary.unlink(missing_ok=True)
    parent, child = domain.parent, domain.child
    connection = sqlite3.connect(temporary)
    try:
        # a file that is not finished is thrown away as a whole
        connection.execute("PRAGMA journal_mode = OFF")
        with connection:
            connection.execute(
                f"CREATE TABLE {parent.name} ({parent.key} integer PRIMARY KEY, {_columns(parent)})"
            )
            connection.execute(
                f"CREATE TABLE {child.name} ({child.key} integer PRIMARY KEY, {parent.key} integer, "
                f"{_columns(child)}, FOREIGN KEY ({parent.key}) REFERENCES {parent.name} ({parent.key}))"
            )
            for table, rows in zip((parent, child), make_rows(domain, seed), strict=True):
                marks = ", ".join("?" * len(rows[0]))
                connection.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows)
    finally:
        connection.close()
    temporary.replace(path)


def _columns(table: TableSpec) -> str:
    columns = [f"{table.label.name} text"]
    columns += [f"{c.name} {'text' if isinstance(c, Category) else 'integer'}" for c in table.columns]
    return ", ".join(columns)


def _table_rows(table: TableSpec, source: random.Random) -> list[Row]:
    first, second = table.label.words
    labels = source.sample([f"{a} {b}" for a in first for b in second], table.rows)
    rows: list[Row] = []
    for number, label in enumerate(labels, start=1):
        values: list[int | str] = []
        for column in table.columns:
            if isinstance(column, Category):
                # the first values are more frequent, so that counts differ
                values.append(column.values[int(len(column.values) * source.random() ** 1.5)])
            else:
                values.append(source.randint(column.low, column.high))
        rows.append((number, label, *values))
    return rows
