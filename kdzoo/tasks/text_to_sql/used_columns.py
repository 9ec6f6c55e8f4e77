"""Which tables and columns a query uses, as SQLite itself resolves them."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from kdzoo.tasks.sql.schema import Schema, open_read_only

_NAME = re.compile(r"\w+")
_QUOTED_NAME = re.compile(r"[`\"\[]([^`\"\]]+)")
_USING = re.compile(r"\bUSING\s*\(([^)]*)\)", re.IGNORECASE)
_NATURAL_JOIN = re.compile(r"\bNATURAL\b.*\bJOIN\b", re.IGNORECASE | re.DOTALL)

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
        words = _names(sql)
        return {place for (table, column), place in known.items() if table in words and column in words}
    reads |= _compared_by_name(sql, known)
    used = {known[read] for read in reads if read in known}
    tables = {table for table, _ in reads} - {table.lower() for table, _ in used}
    return used | {first[table] for table in tables if table in first}


def _compared_by_name(sql: str, known: Iterable[Place]) -> set[Place]:
    """The columns that USING and NATURAL JOIN compare, of which SQLite does not tell, nor of their tables."""
    named = _names(sql)
    here = [(table, column) for table, column in known if table in named]
    names = {name for inside in _USING.findall(sql) for name in _names(inside)}
    if _NATURAL_JOIN.search(sql):
        counts = Counter(column for _, column in here)
        names |= {column for column, count in counts.items() if count > 1}
    return {(table, column) for table, column in here if column in names}


def _names(sql: str) -> set[str]:
    """All that may be a name in a text, in lower case: its words, and what stands in quotes or brackets."""
    return {name.lower() for name in [*_NAME.findall(sql), *_QUOTED_NAME.findall(sql)]}


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
