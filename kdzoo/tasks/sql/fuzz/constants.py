"""The constants that queries compare columns with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

# Lower-case column name -> constants, in the order in which they first come.
Constants = dict[str, list[Any]]

_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.In, exp.Between)


def constants_of(queries: Iterable[str]) -> Constants:
    """Find, for each column name, the constants beside it in comparisons; a pattern of LIKE as it is written.

    Queries that cannot be parsed are passed over.
    """
    found: dict[str, dict[Any, None]] = {}
    for query in queries:
        try:
            parsed: Any = sqlglot.parse_one(query, dialect="sqlite")
        except (SqlglotError, RecursionError):
            continue
        for comparison in parsed.find_all(*_COMPARISONS):
            parts = list(comparison.iter_expressions())
            columns = [column for part in parts for column in _own(part, exp.Column)]
            values = [value(part) for part in parts if is_constant(part)]
            # "..." is a column's name, or text where there is no such column
            values += [c.name for c in columns if c.this.args.get("quoted") and not c.table]
            for column in columns:
                found.setdefault(column.name.lower(), {}).update(dict.fromkeys(values))
    return {column: [v for v in values if v is not None] for column, values in found.items()}


def is_constant(node: Any) -> bool:
    """Whether a node is a number, negative ones included, or a text."""
    return isinstance(node, exp.Literal) or (isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal))


def value(node: Any) -> Any:
    """The value of a constant."""
    if isinstance(node, exp.Neg):
        return -value(node.this)
    if node.is_string:
        return node.name
    try:
        return int(node.name)
    except ValueError:
        return float(node.name)


def _own(root: Any, kind: type) -> list[Any]:
    """Nodes of a kind that do not belong to a query nested in the comparison."""
    if isinstance(root, exp.Query):
        return []
    found = [root] if isinstance(root, kind) else []
    return found + [node for child in root.iter_expressions() for node in _own(child, kind)]
