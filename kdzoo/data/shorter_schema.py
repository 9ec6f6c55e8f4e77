"""Dropping the tables and columns that a question needs least, until its prompt fits."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from kdzoo.data.schema import Column, Schema, Table

_WORD = re.compile(r"[a-z0-9]+")


def shortest_needed(
    schema: Schema, question: str, sql: str | None, text: Callable[[Schema], str], fits: Callable[[str], bool]
) -> str:
    """Give the prompt of the largest part of the schema that fits, least related columns and tables dropped first.

    Relatedness is BM25 between the question and a column's names and values. What ``sql`` uses is never dropped;
    primary keys and foreign keys go after everything else of their table. If even the rest is too long, the prompt
    of the rest is given.
    """
    order = _expendable(schema, question, sql)
    low, high = 0, len(order)
    # the more is dropped the shorter the text, so the number to drop can be found by halving
    while low < high:
        middle = (low + high) // 2
        if fits(text(_without(schema, order[:middle]))):
            high = middle
        else:
            low = middle + 1
    return text(_without(schema, order[:low]))


def _expendable(schema: Schema, question: str, sql: str | None) -> list[tuple[str, str]]:
    """All (table, column) that may go, in the order in which they go."""
    columns = [(table, column) for table in schema.tables for column in table.columns]
    scores = _bm25(_words(question), [_column_words(table, column) for table, column in columns])
    used = set() if sql is None else _used(schema, sql)
    keys = {(k.table.lower(), k.column.lower()) for k in schema.foreign_keys}
    keys |= {(k.other_table.lower(), k.other_column.lower()) for k in schema.foreign_keys}
    best: dict[str, float] = {}
    for (table, _), score in zip(columns, scores, strict=True):
        best[table.name] = max(best.get(table.name, 0.0), score)

    def importance(item: tuple[tuple[Table, Column], float]) -> tuple[float, bool, float]:
        (table, column), score = item
        is_key = column.primary_key or (table.name.lower(), column.name.lower()) in keys
        # a key is worth what its table is worth: it connects tables that are needed
        return (best[table.name] if is_key else score, is_key, best[table.name])

    ranked = sorted(zip(columns, scores, strict=True), key=importance)
    return [
        (table.name, column.name)
        for (table, column), _ in ranked
        if (table.name.lower(), column.name.lower()) not in used
    ]


def _used(schema: Schema, sql: str) -> set[tuple[str, str]]:
    """The (table, column), in lower case, that a query may use: columns it names, in tables that it names."""
    words = set(re.findall(r"[\w ]+|\w+", sql.lower())) | set(re.findall(r"\w+", sql.lower()))
    used = set()
    for table in schema.tables:
        if table.name.lower() not in words and not re.search(rf"(?<!\w){re.escape(table.name.lower())}(?!\w)", sql.lower()):
            continue
        named = [c for c in table.columns if re.search(rf"(?<!\w){re.escape(c.name.lower())}(?!\w)", sql.lower())]
        # a table that is only counted keeps its first column, so that it stays in the prompt
        used |= {(table.name.lower(), c.name.lower()) for c in named or table.columns[:1]}
    return used


def _without(schema: Schema, dropped: list[tuple[str, str]]) -> Schema:
    gone = set(dropped)
    tables = []
    for table in schema.tables:
        kept = tuple(column for column in table.columns if (table.name, column.name) not in gone)
        if kept:
            tables.append(replace(table, columns=kept))
    left = {(table.name.lower(), column.name.lower()) for table in tables for column in table.columns}
    keys = tuple(
        key
        for key in schema.foreign_keys
        if (key.table.lower(), key.column.lower()) in left and (key.other_table.lower(), key.other_column.lower()) in left
    )
    return Schema(tuple(tables), keys)


def _column_words(table: Table, column: Column) -> list[str]:
    return _words(" ".join([table.name, column.name, column.comment, *column.values]))


def _words(text: str) -> list[str]:
    separated = re.sub(r"([a-z])([A-Z])", r"\1 \2", text).replace("_", " ").lower()
    # a plural and its singular are one word here
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in _WORD.findall(separated)]


def _bm25(query: list[str], documents: list[list[str]], k1: float = 1.5, b: float = 0.75) -> list[float]:
    """Okapi BM25 (Robertson et al. 1995) of each document for a query."""
    if not documents:
        return []
    average = sum(len(d) for d in documents) / len(documents) or 1.0
    frequency = Counter(word for document in documents for word in set(document))
    scores = []
    for document in documents:
        counts = Counter(document)
        score = 0.0
        for word in set(query):
            if not counts[word]:
                continue
            rarity = math.log(1 + (len(documents) - frequency[word] + 0.5) / (frequency[word] + 0.5))
            norm = counts[word] + k1 * (1 - b + b * len(document) / average)
            score += rarity * counts[word] * (k1 + 1) / norm
        scores.append(score)
    return scores
