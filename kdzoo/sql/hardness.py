"""Spider's hardness of a query (Yu et al. 2018): easy, medium, hard or extra."""

from __future__ import annotations

from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

EASY, MEDIUM, HARD, EXTRA = "easy", "medium", "hard", "extra"


@lru_cache(maxsize=10_000)
def hardness(sql: str) -> str:
    """Rate a gold query.

    With c1 the number of WHERE, GROUP BY, ORDER BY, LIMIT, JOIN, OR and LIKE, c2 that of nested queries and set
    operations, and o that of "more than one" among aggregates, selected columns, conditions and grouping columns, all
    of the outermost query: easy: c1 <= 1, o = 0, c2 = 0; medium: c2 = 0 and (o <= 2 and c1 <= 1, or c1 <= 2 and
    o < 2); hard: c2 = 0 and (o > 2 and c1 <= 2, or c1 = 3 and o <= 2), or c2 <= 1 and c1 <= 1 and o = 0; else extra.
    A query that cannot be parsed is extra.
    """
    try:
        parsed = sqlglot.parse_one(sql.strip().rstrip(";"), dialect="sqlite")
    except (SqlglotError, RecursionError):
        return EXTRA
    c1, c2, o = components(parsed)
    if c1 <= 1 and o == 0 and c2 == 0:
        return EASY
    if c2 == 0 and ((o <= 2 and c1 <= 1) or (c1 <= 2 and o < 2)):
        return MEDIUM
    if (c2 == 0 and o > 2 and c1 <= 2) or (c2 == 0 and c1 == 3 and o <= 2) or (c2 <= 1 and c1 <= 1 and o == 0):
        return HARD
    return EXTRA


def components(parsed: exp.Expression) -> tuple[int, int, int]:
    """Count c1, c2 and o of a parsed query, with the official program's ways of counting.

    Aggregates are those selected or ordered by; a negated condition of WHERE and a connective of HAVING count as one
    too. What follows a set operation, a final ORDER BY included, belongs to its right side and is not counted.
    """
    outer: exp.Expression = parsed
    while isinstance(outer, exp.SetOperation):
        outer = outer.this
    set_operation = outer is not parsed
    if not isinstance(outer, exp.Select):
        return 0, int(set_operation), 0
    where, having, group, order = (outer.args.get(part) for part in ("where", "having", "group", "order"))
    joins = outer.args.get("joins") or []
    connected = [c for c in (where, having, *(join.args.get("on") for join in joins)) if c is not None]
    c1 = sum(part is not None for part in (where, group, order, outer.args.get("limit"))) + len(joins)
    c1 += sum(len(_own(c, exp.Or)) + len(_own(c, exp.Like)) for c in connected)
    c2 = sum(len(_nested(c)) for c in connected) + set_operation
    aggregates = sum(bool(_own(selected, exp.AggFunc)) for selected in outer.expressions)
    aggregates += 0 if order is None else len(_own(order, exp.AggFunc))
    aggregates += 0 if where is None else len(_own(where, exp.Not))
    aggregates += 0 if having is None else len(_own(having, exp.Connector))
    o = (
        (aggregates > 1)
        + (len(outer.expressions) > 1)
        + (where is not None and bool(_own(where, exp.Connector)))
        + (group is not None and len(group.expressions) > 1)
    )
    return c1, c2, o


def _own(root: exp.Expression, kind: type[exp.Expression]) -> list[exp.Expression]:
    """All nodes of a kind below ``root`` that do not belong to a query nested in it."""
    found = [root] if isinstance(root, kind) else []
    for child in root.iter_expressions():
        if not isinstance(child, exp.Query | exp.Subquery):
            found += _own(child, kind)
    return found


def _nested(root: exp.Expression) -> list[exp.Expression]:
    """The queries nested directly in a condition."""
    found: list[exp.Expression] = []
    for child in root.iter_expressions():
        if isinstance(child, exp.Select | exp.SetOperation):
            found.append(child)
        else:
            found += _nested(child)
    return found
