"""Which tables and columns a query uses, as SQLite itself resolves them."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from kdzoo.data.schema import Schema, open_read_only

_NAME = re.compile(r"\w+")

Place = tuple[str, str]


def used_columns(sql: str, database: Path, schema: Schema) -> set[Place]:
    """Give the (table, column) pairs that a query reads; a table of which none is read counts with its first.

    SQLite prepares the query, which does not run. If it cannot, every column is given whose name stands in
    the text together with its table's.
    """
    known = {(t.name.lower(), c.name.lower()): (t.name, c.name) for t in schema.tables for c in t.columns}
    first = {t.name.lower(): (t.name, t.columns[0].name) for t in schema.tables if t.columns}
    reads = _reads(sql, database)
    if reads is None:
        words = {word.lower() for word in _NAME.findall(sql)} | {
            word.lower() for word in re.findall(r"[`\"\[]([^`\"\]]+)", sql)
        }
        return {place for (table, column), place in known.items() if table in words and column in words}
    used = {known[read] for read in reads if read in known}
    tables = {table for table, _ in reads} - {table.lower() for table, _ in used}
    return used | {first[table] for table in tables if table in first}


def _reads(sql: str, database: Path) -> set[Place] | None:
    """Lower-case pairs, with "" as column where only the table is read; None for a query that is wrong."""
    reads: set[Place] = set()

    def note(action: int, table: str | None, column: str | None, *_: str | None) -> int:
        if action == sqlite3.SQLITE_READ and table is not None:
            reads.add((table.lower(), (column or "").lower()))
            return sqlite3.SQLITE_OK
        allowed = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
        return sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY

    connection = open_read_only(database)
    try:
        connection.set_authorizer(note)
        connection.execute("EXPLAIN " + sql).close()
    except (sqlite3.Error, sqlite3.Warning, ValueError):
        return None
    finally:
        connection.close()
    return reads
