"""Near neighbours of a query: what a model that is almost right would write."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from kdzoo.tasks.sql.fuzz.constants import value

# Lower-case table name -> its column names by affinity.
ColumnsByAffinity = Mapping[str, Mapping[str, list[str]]]

# What a node may be taken for.
_OTHER_KINDS: dict[type, list[type]] = {
    exp.GT: [exp.GTE, exp.LT],
    exp.GTE: [exp.GT, exp.LTE],
    exp.LT: [exp.LTE, exp.GT],
    exp.LTE: [exp.LT, exp.GTE],
    exp.EQ: [exp.NEQ, exp.GTE],
    exp.NEQ: [exp.EQ],
    exp.Max: [exp.Min],
    exp.Min: [exp.Max],
    exp.Avg: [exp.Sum, exp.Max],
    exp.Sum: [exp.Avg, exp.Count],
    exp.Union: [exp.Intersect],
    exp.Intersect: [exp.Union, exp.Except],
    exp.Except: [exp.Union, exp.Intersect],
    exp.And: [exp.Or],
    exp.Or: [exp.And],
}

_Node = Any
_Edit = Callable[[_Node], None]


def as_rendered(query: str) -> str | None:
    """A query as it reads after parsing and rendering, as mutants do; None if that cannot be done."""
    try:
        return str(_parsed(query).sql(dialect="sqlite"))
    except (SqlglotError, RecursionError):
        return None


def mutants_of(query: str, columns: ColumnsByAffinity, most: int, source: random.Random) -> list[str]:
    """Change a query in one place each time; all such mutants, or ``most`` of them drawn at random.

    Changed are constants, comparisons, connectives, negations, aggregates, columns, the direction of
    ordering, limits, kinds of joins and set operations; conditions and clauses are left out. DISTINCT stays:
    Spider's evaluation does not look at it. A query that cannot be parsed has no mutants.
    """
    found: dict[str, None] = {}
    try:
        # within something else, so that the query as a whole can be replaced too
        holder: _Node = exp.Tuple(expressions=[_parsed(query)])
        original = _rendered(holder)
        for index, place in enumerate(holder.walk()):
            for number in range(len(_edits(place, columns))):
                changed = holder.copy()
                # a copy is walked in the same order
                target = next(node for i, node in enumerate(changed.walk()) if i == index)
                _edits(target, columns)[number](target)
                found[_rendered(changed)] = None
    except (SqlglotError, RecursionError):
        return []
    found.pop(original, None)
    mutants = list(found)
    return mutants if len(mutants) <= most else source.sample(mutants, most)


def _parsed(query: str) -> _Node:
    return sqlglot.parse_one(query.strip().rstrip(";"), dialect="sqlite")


def _rendered(holder: _Node) -> str:
    return str(holder.expressions[0].sql(dialect="sqlite"))


def _edits(node: _Node, columns: ColumnsByAffinity) -> list[_Edit]:
    """The changes that can be made at a node."""
    edits: list[_Edit] = [partial(_become, kind=kind) for kind in _OTHER_KINDS.get(type(node), [])]
    if isinstance(node, exp.Literal):
        edits += [partial(_set, part="this", to=text) for text in _other_constants(node)]
    elif isinstance(node, exp.Column):
        edits += [partial(_set, part="this", to=_identifier(name)) for name in _other_columns(node, columns)]
    elif isinstance(node, exp.Ordered):
        edits.append(_reverse)
    elif isinstance(node, exp.Join) and (node.args.get("on") or node.args.get("using")) and not node.side:
        edits.append(partial(_set, part="side", to="LEFT"))
    elif isinstance(node, exp.In | exp.Like | exp.Between):
        edits.append(_negate)
    elif isinstance(node, exp.Select):
        clauses = [c for c in ("where", "having", "order", "limit") if node.args.get(c) is not None]
        edits += [partial(_set, part=clause, to=None) for clause in clauses]
    if isinstance(node, exp.Connector | exp.SetOperation):
        edits.append(_keep_left)
    return edits


def _become(node: _Node, kind: type) -> None:
    node.replace(kind(**node.args))


def _set(node: _Node, part: str, to: Any) -> None:
    node.set(part, to)


def _reverse(node: _Node) -> None:
    # NULL is less than all else in either direction
    node.set("nulls_first", bool(node.args.get("desc")))
    node.set("desc", None if node.args.get("desc") else True)


def _negate(node: _Node) -> None:
    if isinstance(node.parent, exp.Not):
        node.parent.replace(node.copy())
    else:
        node.replace(exp.Not(this=node.copy()))


def _keep_left(node: _Node) -> None:
    node.replace(node.this.copy())


def _identifier(name: str) -> _Node:
    return exp.to_identifier(name, quoted=not name.isidentifier())


def _other_constants(node: _Node) -> list[str]:
    constant = value(node)
    if not isinstance(constant, str):
        return [str(constant + 1), str(constant - 1)] if constant > 0 else [str(constant + 1)]
    inner = constant.strip("%")
    if inner != constant:
        return [text for text in (f"{inner}%", f"%{inner}", inner) if text != constant]
    return [constant + "a", constant[:-1]] if len(constant) > 1 else [constant + "a"]


def _other_columns(node: _Node, columns: ColumnsByAffinity) -> list[str]:
    """The columns of the same affinity in the same table; at most two, the next in the table's order."""
    for names in columns.get(_table_of(node, columns), {}).values():
        lower = [name.lower() for name in names]
        if node.name.lower() in lower:
            place = lower.index(node.name.lower())
            return (names[place + 1 :] + names[:place])[:2]
    return []


def _table_of(node: _Node, columns: ColumnsByAffinity) -> str:
    """The table that a column belongs to, by its qualifier or else by its name; in lower case."""
    scope = node.find_ancestor(exp.Select)
    for table in [] if scope is None else scope.find_all(exp.Table):
        name = str(table.name).lower()
        if node.table:
            if node.table.lower() in (table.alias.lower(), name):
                return name
        elif any(node.name.lower() in map(str.lower, names) for names in columns.get(name, {}).values()):
            return name
    return ""
