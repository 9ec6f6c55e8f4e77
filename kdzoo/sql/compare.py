"""Whether two query results are equal, as Spider and BIRD define it. Pure functions on rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

Row = tuple[Any, ...]


def spider_equal(gold: Sequence[Row], predicted: Sequence[Row], *, ordered: bool) -> bool:
    """Equality of test-suite-sql-eval (Zhong et al. 2020): the same verdicts as its ``result_eq``.

    Both results are empty; or they have the same numbers of rows and columns, and under some permutation of the
    columns they are equal as lists (``ordered``) or as multisets. 1 equals 1.0. Before looking for a permutation the
    official program compares rows with their values sorted as text, in which 1 and 1.0 may sort differently; a
    result that fails there is unequal, here as there.
    """
    if not gold and not predicted:
        return True
    if len(gold) != len(predicted) or len(gold[0]) != len(predicted[0]):
        return False
    ours, theirs = [_as_text_sorted(row) for row in gold], [_as_text_sorted(row) for row in predicted]
    if (ours != theirs) if ordered else (set(ours) != set(theirs)):
        return False
    return _ordered_match(gold, predicted) if ordered else _multiset_match(gold, predicted)


def bird_equal(gold: Sequence[Row], predicted: Sequence[Row]) -> bool:
    """BIRD's equality (Li et al. 2023): the sets of rows are equal, columns in their order."""
    return set(gold) == set(predicted)


def _as_text_sorted(row: Row) -> Row:
    return tuple(sorted(row, key=lambda value: str(value) + str(type(value))))


def _ordered_match(gold: Sequence[Row], predicted: Sequence[Row]) -> bool:
    """With rows in order, columns can be matched one by one: equal columns are interchangeable."""
    free = list(zip(*predicted, strict=True))
    for column in zip(*gold, strict=True):
        if column not in free:
            return False
        free.remove(column)
    return True


def _multiset_match(gold: Sequence[Row], predicted: Sequence[Row]) -> bool:
    """Match columns of equal content by backtracking; a partial choice must already give equal partial rows."""
    gold_columns = list(zip(*gold, strict=True))
    predicted_columns = list(zip(*predicted, strict=True))
    contents = [Counter(column) for column in predicted_columns]
    candidates = []
    for column in gold_columns:
        content = Counter(column)
        candidates.append([i for i, other in enumerate(contents) if other == content])
    # columns with few candidates first: they cut the search most
    order = sorted(range(len(gold_columns)), key=lambda i: len(candidates[i]))

    def extend(depth: int, chosen: list[int]) -> bool:
        if depth == len(order):
            return True
        ours = [gold_columns[i] for i in order[: depth + 1]]
        partial = Counter(zip(*ours, strict=True))
        tried: list[Row] = []
        for candidate in candidates[order[depth]]:
            column = predicted_columns[candidate]
            if candidate in chosen or column in tried:
                continue
            tried.append(column)
            theirs = [predicted_columns[i] for i in [*chosen, candidate]]
            if Counter(zip(*theirs, strict=True)) == partial and extend(depth + 1, [*chosen, candidate]):
                return True
        return False

    return extend(0, [])
