"""Whether two query results are equal, as Spider and BIRD define it. Pure functions on rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

Row = tuple[Any, ...]


def spider_equal(gold: Sequence[Row], predicted: Sequence[Row], *, ordered: bool) -> bool:
    """Equality of test-suite-sql-eval (Zhong et al. 2020): the same verdicts as its ``result_eq``.

    Both results are empty; or they have the same numbers of rows and columns, and under some permutation of
    the columns they are equal as lists (``ordered``) or as multisets. 1 equals 1.0. Before looking for a
    permutation the official program compares rows with their values sorted as text, in which 1 and 1.0 may
    sort differently; a result that fails there is unequal, here as there.
    """
    if not gold and not predicted:
        return True
    if len(gold) != len(predicted) or len(gold[0]) != len(predicted[0]):
        return False
    ours, theirs = [_sorted_as_text(row) for row in gold], [_sorted_as_text(row) for row in predicted]
    if (ours != theirs) if ordered else (set(ours) != set(theirs)):
        return False
    if ordered:
        return _equal_in_order(gold, predicted)
    return _equal_in_any_order(gold, predicted)


def equal_as_sets(gold: Iterable[Row], predicted: Iterable[Row]) -> bool:
    """BIRD's equality (Li et al. 2023): the sets of rows are equal, columns in their order.

    ``predicted`` is read no further than to its first row that is not in ``gold``.
    """
    expected = set(gold)
    found: set[Row] = set()
    for row in predicted:
        if row not in expected:
            return False
        found.add(row)
    return len(found) == len(expected)


def _sorted_as_text(row: Row) -> Row:
    return tuple(sorted(row, key=lambda value: str(value) + str(type(value))))


def _equal_in_order(gold: Sequence[Row], predicted: Sequence[Row]) -> bool:
    """With rows in order a column is one value, and the two lists of columns are compared as multisets."""
    return Counter(zip(*gold, strict=True)) == Counter(zip(*predicted, strict=True))


def _equal_in_any_order(gold: Sequence[Row], predicted: Sequence[Row]) -> bool:
    """Match columns of equal content by backtracking.

    Rows are told apart by a number for the values that they have in the columns matched so far. A partial
    match stands only while both results have the same numbers equally often.
    """
    columns = list(zip(*gold, strict=True))
    others = list(zip(*predicted, strict=True))
    contents = [Counter(column) for column in others]
    candidates = {}
    for index, column in enumerate(columns):
        content = Counter(column)
        candidates[index] = [i for i, other in enumerate(contents) if other == content]
    # columns with few candidates first: they cut the search most
    order = sorted(candidates, key=lambda index: len(candidates[index]))

    def extend(depth: int, numbers: list[int], other_numbers: list[int], used: frozenset[int]) -> bool:
        if depth == len(order):
            return True
        index = order[depth]
        known: dict[tuple[int, Any], int] = {}
        finer = [known.setdefault(pair, len(known)) for pair in zip(numbers, columns[index], strict=True)]
        counts = Counter(finer)
        tried: set[Row] = set()
        for candidate in candidates[index]:
            column = others[candidate]
            if candidate in used or column in tried:
                continue
            tried.add(column)
            other_finer = [known.get(pair, -1) for pair in zip(other_numbers, column, strict=True)]
            if Counter(other_finer) == counts and extend(depth + 1, finer, other_finer, used | {candidate}):
                return True
        return False

    start = [0] * len(gold)
    return extend(0, start, start, frozenset())
