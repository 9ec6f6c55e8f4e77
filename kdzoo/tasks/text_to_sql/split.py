"""Holding out questions of the same databases, so that no question or query is on both sides."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from kdzoo.tasks.text_to_sql.questions import Question
from kdzoo.tasks.text_to_sql.sampling import rank

# A literal in quotes is kept as it is; outside of quotes case and white space mean nothing.
_LITERAL_OR_SPACE = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|(\s+)")
_NOT_WORD = re.compile(r"[\W_]+")


def split_by_query(
    questions: Sequence[Question], held_out: float, seed: int
) -> tuple[list[Question], list[Question]]:
    """Give (kept, held out): about the fraction ``held_out`` of the questions, the same for the same seed.

    Questions with the same gold SQL on the same database (case and spacing aside) stay together, and so do
    those with the same words. The choice depends on the questions, not on their order.
    """
    clusters = _clusters(questions)
    ordered = sorted(
        clusters, key=lambda cluster: min(rank(seed, *_query_key(questions[i])) for i in cluster)
    )
    wanted = round(held_out * len(questions))
    chosen: set[int] = set()
    for cluster in ordered:
        if len(chosen) + len(cluster) <= wanted:
            chosen.update(cluster)
    kept = [q for i, q in enumerate(questions) if i not in chosen]
    return kept, [q for i, q in enumerate(questions) if i in chosen]


def normal_query(sql: str) -> str:
    """A query in lower case and without spaces, outside of quotes: what its writings have in common."""
    parts = []
    last = 0
    for match in _LITERAL_OR_SPACE.finditer(sql):
        parts.append(sql[last : match.start()].lower())
        parts.append(match.group(1).replace('"', "'") if match.group(1) else "")
        last = match.end()
    parts.append(sql[last:].lower())
    return "".join(parts).rstrip(";")


def _query_key(question: Question) -> tuple[str, str, str]:
    return "query", question.db_id, normal_query(question.sql)


def _clusters(questions: Sequence[Question]) -> list[list[int]]:
    """Sets of questions that share a query or their words, directly or through others."""
    parent = list(range(len(questions)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[tuple[str, str, str], int] = {}
    for i, question in enumerate(questions):
        words = _NOT_WORD.sub(" ", question.text.lower()).strip()
        for key in (_query_key(question), ("words", question.db_id, words)):
            parent[root(i)] = root(first.setdefault(key, i))
    clusters: dict[int, list[int]] = defaultdict(list)
    for i in range(len(questions)):
        clusters[root(i)].append(i)
    return list(clusters.values())
