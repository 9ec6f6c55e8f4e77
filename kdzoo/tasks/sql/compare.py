"""Whether two query results are equal, as Spider and BIRD define it. Pure functions on results as hashes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence, Set
from typing import TypeAlias

from kdzoo.tasks.sql.digest import Digest, Row, combine, hash_row

_Column: TypeAlias = "array[int]"


def spider_equal(gold: Digest, predicted: Digest, *, ordered: bool) -> bool:
    """Equality of test-suite-sql-eval (Zhong et al. 2020): the same verdicts as its ``result_eq``.

    Both results are empty; or they have the same numbers of rows and columns, and under some permutation of
    the columns they are equal as lists (``ordered``) or as multisets. 1 equals 1.0. Before looking for a
    permutation the official program compares rows with their values sorted as text, in which 1 and 1.0 may
    sort differently; a result that fails there is unequal, here as there.
    """
    if not gold and not predicted:
        return True
    if len(gold) != len(predicted) or len(gold.columns) != len(predicted.columns):
        return False
    if ordered:
        return gold.as_text == predicted.as_text and _same_columns(gold.columns, predicted.columns)
    # equal multisets are equal sets; that is cheap to see
    if sum(gold.as_text) != sum(predicted.as_text) and set(gold.as_text) != set(predicted.as_text):
        return False
    return _equal_in_any_order(gold.columns, predicted.columns)


def equal_as_sets(gold: Set[int], predicted: Iterable[Row]) -> bool:
    """BIRD's equality (Li et al. 2023): the sets of rows are equal, columns in their order.

    ``gold`` are the hashes of its distinct rows. ``predicted`` is read no further than to its first row that
    is not among them.
    """
    found: set[int] = set()
    for row in predicted:
        number = hash_row(row)
        if number not in gold:
            return False
        found.add(number)
    return len(found) == len(gold)


def _same_columns(columns: Sequence[_Column], others: Sequence[_Column]) -> bool:
    """With rows in order a column is one value, and the two lists of columns are compared as multisets."""
    left = list(others)
    for column in columns:
        if column not in left:
            return False
        left.remove(column)
    return True


def _equal_in_any_order(columns: Sequence[_Column], others: Sequence[_Column]) -> bool:
    """Match columns of equal content by backtracking.

    A row has a number for the values that it has in the columns matched so far. A partial match stands only
    while both results have the same numbers equally often; multisets of hashes are told apart by their sums.
    """
    contents = [sum(column) for column in others]
    candidates = {}
    for index, column in enumerate(columns):
        content = sum(column)
        candidates[index] = [i for i, other in enumerate(contents) if other == content]
    # columns with few candidates first: they cut the search most
    order = sorted(candidates, key=lambda index: len(candidates[index]))

    def extend(depth: int, numbers: _Column, other_numbers: _Column, used: frozenset[int]) -> bool:
        if depth == len(order):
            return True
        index = order[depth]
        finer = _finer(numbers, columns[index])
        content = sum(finer)
        tried: list[_Column] = []
        for candidate in candidates[index]:
            column = others[candidate]
            if candidate in used or column in tried:
                continue
            tried.append(column)
            other_finer = _finer(other_numbers, column)
            if sum(other_finer) == content and extend(depth + 1, finer, other_finer, used | {candidate}):
                return True
        return False

    return extend(0, array("q"), array("q"), frozenset())


def _finer(numbers: _Column, column: _Column) -> _Column:
    """The rows' numbers with one more column; none are given before the first."""
    return array("q", map(combine, numbers, column)) if numbers else column
