"""The questions of the embedded benchmark: what people may ask of a domain, in varied words, and its SQL."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kdzoo.tasks.text_to_sql.embedded import joined, single_table
from kdzoo.tasks.text_to_sql.embedded.domains import Domain
from kdzoo.tasks.text_to_sql.embedded.speech import Speaker


@dataclass(frozen=True)
class Asked:
    """One question and its gold SQL; ``family`` names the kind of question."""

    question: str
    sql: str
    family: str


# Each of `kdzoo.tasks.text_to_sql.embedded.names.FAMILIES`, and how often it is asked relative to the others.
_FAMILIES: dict[str, tuple[Callable[[Speaker], tuple[str, str]], int]] = {
    "columns": (single_table.columns, 2),
    "filter": (single_table.filtered, 4),
    "two conditions": (single_table.two_conditions, 3),
    "either": (single_table.either, 1),
    "between": (single_table.between, 2),
    "count": (single_table.count, 3),
    "aggregate": (single_table.aggregate, 3),
    "group": (single_table.grouped, 3),
    "having": (single_table.having, 2),
    "order": (single_table.ordered, 3),
    "extreme": (single_table.extreme, 3),
    "distinct": (single_table.distinct, 2),
    "above average": (single_table.above_average, 2),
    "both kinds": (single_table.both_kinds, 2),
    "join filter": (joined.filtered_children, 3),
    "join back": (joined.filtered_parents, 3),
    "join count": (joined.count_for_each, 2),
    "join aggregate": (joined.aggregate_of_children, 2),
    "richest": (joined.richest, 2),
    "childless": (joined.childless, 2),
}


def ask(domain: Domain, source: random.Random, families: Sequence[str]) -> Asked:
    """Make one question about a domain, of one of these families."""
    family = source.choices(families, [_FAMILIES[name][1] for name in families])[0]
    question, sql = _FAMILIES[family][0](Speaker(domain, source))
    return Asked(question, sql, family)
