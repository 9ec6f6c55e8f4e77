"""The virtual tables that a statement in the sandbox may read: JSON, full-text and R-Tree.

When SQLite first meets a virtual table it prepares statements of the table's own, some of which would write.
An authorizer cannot tell these from the statement's. So the tables are connected before there is one; those of
any other module never are, and the authorizer refuses them.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import suppress

_ALWAYS_THERE = ("json_each", "json_tree")
_MODULES = frozenset({"fts3", "fts4", "fts4aux", "fts5", "fts5vocab", "rtree", "rtree_i32"})

_MODULE = re.compile(r"\bUSING\s+[\"'`\[]?(\w+)", re.IGNORECASE)


def connect_virtual_tables(connection: sqlite3.Connection) -> None:
    """Connect what a statement may read. A damaged table is left for the statement to stumble upon."""
    names = list(_ALWAYS_THERE)
    with suppress(sqlite3.Error):
        created = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE %'"
        )
        names += [name for name, sql in created if _module(sql) in _MODULES]
    for name in names:
        quoted = '"' + name.replace('"', '""') + '"'
        with suppress(sqlite3.Error):
            connection.execute(f"SELECT 1 FROM {quoted} LIMIT 0")


def _module(sql: str) -> str:
    found = _MODULE.search(sql)
    return "" if found is None else found.group(1).lower()
