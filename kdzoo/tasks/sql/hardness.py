"""Spider's hardness of a query (Yu et al. 2018): easy, medium, hard or extra."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

EASY, MEDIUM, HARD, EXTRA = "easy", "medium", "hard", "extra"

# The base class of sqlglot's syntax trees has changed its name between versions.
_Node = Any


@lru_cache(maxsize=10_000)
def hardness(sql: str) -> str:
    """Rate a gold query.

    With c1 the number of WHERE, GROUP BY, ORDER BY, LIMIT, JOIN, OR and LIKE, c2 that of nested queries and
    set operations, and o that of "more than one" among aggregates, selected columns, conditions and grouping
    columns, all of the outermost query: easy: c1 <= 1, o = 0, c2 = 0; medium: c2 = 0 and (o <= 2 and
    c1 <= 1, or c1 <= 2 and o < 2); hard: c2 = 0 and (o > 2 and c1 <= 2, or c1 = 3 and o <= 2), or c2 <= 1
    and c1 <= 1 and o = 0; else extra. A query that cannot be parsed is extra.
    """
    try:
        parsed = sqlglot.parse_one(sql.strip().rstrip(";"), dialect="sqlite")
        c1, c2, o = components(parsed)
    except (SqlglotError, RecursionError):
        return EXTRA
    if c1 <= 1 and o == 0 and c2 == 0:
        return EASY
    if c2 == 0 and ((o <= 2 and c1 <= 1) or (c1 <= 2 and o < 2)):
        return MEDIUM
    if (
        (c2 == 0 and o > 2 and c1 <= 2)
        or (c2 == 0 and c1 == 3 and o <= 2)
        or (c2 <= 1 and c1 <= 1 and o == 0)
    ):
        return HARD
    return EXTRA


def components(parsed: _Node) -> tuple[int, int, int]:
    """Count c1, c2 and o of a query that sqlglot has parsed, with the official program's ways of counting.

    Aggregates are those selected or ordered by; a negated condition counts as one too, and so does a
    connective of HAVING. What follows a set operation, a final ORDER BY included, belongs to its right side
    and is not counted.
    """
    outer, set_operation = parsed, False
    while isinstance(outer, exp.SetOperation | exp.Subquery):
        set_operation = set_operation or isinstance(outer, exp.SetOperation)
        outer = outer.this
    if not isinstance(outer, exp.Select):
        return 0, int(set_operation), 0
    where, having, group, order = (outer.args.get(part) for part in ("where", "having", "group", "order"))
    joins = outer.args.get("joins") or []
    conditions = [c for c in (where, having, *(join.args.get("on") for join in joins)) if c is not None]
    c1 = sum(part is not None for part in (where, group, order, outer.args.get("limit"))) + len(joins)
    c1 += sum(_count(c, exp.Or) + _count(c, exp.Like) for c in conditions)
    c2 = sum(_nested(c) for c in conditions) + set_operation
    aggregates = sum(_count(selected, exp.AggFunc) > 0 for selected in outer.expressions)
    aggregates += _count(order, exp.AggFunc) + _count(where, exp.Not)
    aggregates += _count(having, exp.Not) + _count(having, exp.Connector)
    o = (
        (aggregates > 1)
        + (len(outer.expressions) > 1)
        + (_count(where, exp.Connector) > 0)
        + (group is not None and len(group.expressions) > 1)
    )
    return c1, c2, o


def _count(root: _Node | None, kind: type) -> int:
    """How many nodes of a kind there are at and below ``root``, without the queries nested in it."""
    if root is None:
        return 0
    below = (child for child in root.iter_expressions() if not isinstance(child, exp.Query))
    return isinstance(root, kind) + sum(_count(child, kind) for child in below)


def _nested(root: _Node) -> int:
    """How many queries are nested directly in a condition."""
    return sum(
        1 if isinstance(child, exp.Select | exp.SetOperation) else _nested(child)
        for child in root.iter_expressions()
    )
