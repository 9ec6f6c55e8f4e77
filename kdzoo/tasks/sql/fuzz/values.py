"""Values for the columns of random databases."""

from __future__ import annotations

import random
import string
from contextlib import suppress
from typing import Any

from kdzoo.tasks.sql.schema import Column

_NULL_SHARE = 0.1


def pool(column: Column, constants: list[Any], size: int, source: random.Random) -> list[Any]:
    """Draw values for a column: some near the queries' constants, some of its own, some at random.

    A small pool makes rows that agree: joins that meet, groups of several rows, ties.
    """
    near = [value for constant in constants for value in near_values(constant)]
    drawn = source.sample(near, min(len(near), max(1, size // 2)))
    drawn += source.sample(column.values, min(len(column.values), max(1, size // 3)))
    while len(drawn) < size:
        drawn.append(random_value(column, source))
    return [_fitting(column, value) for value in drawn]


def unique_pool(column: Column, constants: list[Any], size: int, source: random.Random) -> list[Any]:
    """Draw different values, for a key of one column."""
    near = [value for constant in constants for value in near_values(constant)]
    candidates = [*near, *source.sample(column.values, min(len(column.values), size))]
    source.shuffle(candidates)
    found = dict.fromkeys(_fitting(column, value) for value in candidates[:size])
    while len(found) < size:
        found[_fitting(column, random_value(column, source, spread=10 * size))] = None
    return list(found)


def cell(column: Column, values: list[Any], source: random.Random) -> Any:
    """Draw one value from a column's pool, or now and then NULL."""
    if not column.required and source.random() < _NULL_SHARE:
        return None
    return source.choice(values)


def near_values(constant: Any) -> list[Any]:
    """A constant and values that a slightly different query would treat differently."""
    if isinstance(constant, int | float):
        return [constant, constant - 1, constant + 1]
    inner = constant.replace("%", "").replace("_", "")
    near = [inner]
    if inner != constant:  # a pattern
        near += [f"{inner}a", f"a{inner}", f"a{inner}b", inner[:-1]]
    else:
        near += [inner.lower(), inner.upper(), f"{inner}a", inner[:-1]]
    with suppress(ValueError):
        near += [str(int(constant) - 1), str(int(constant) + 1)]
    return list(dict.fromkeys(near))


def random_value(column: Column, source: random.Random, spread: int = 100) -> Any:
    """Draw a value without regard to the queries: near the column's own numbers, or a short word."""
    if column.affinity == "text":
        return "".join(source.choice(string.ascii_lowercase) for _ in range(source.randint(1, 6)))
    numbers = [value for value in column.values if isinstance(value, int | float)]
    low, high = (min(numbers), max(numbers)) if numbers else (0, 0)
    margin = min(spread, 2**31)
    low, high = max(low - margin, -(2**62)), min(high + margin, 2**62)
    if column.affinity == "integer":
        return source.randint(int(low), int(high))
    return round(source.uniform(low, high), 1)


def _fitting(column: Column, value: Any) -> Any:
    """A value that SQLite stores in the column as it is."""
    if column.affinity == "text":
        return value if isinstance(value, str | bytes) else str(value)
    if isinstance(value, int) and abs(value) >= 2**63:
        return 0
    return value
