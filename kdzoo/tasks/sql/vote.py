"""Majority votes: of several statements for a question, one whose result most of them have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kdzoo.tasks.sql.executor import SqlJudge
from kdzoo.tasks.sql.judge import Item
from kdzoo.tasks.sql.limits import ExecutionMetric


@dataclass(frozen=True)
class Vote:
    """The statement that a vote has chosen, and how many statements have its result; none have, if it does not run."""

    statement: str
    votes: int


def vote(
    candidates: Sequence[Sequence[str]],
    databases: Sequence[Path],
    judge: SqlJudge,
    rule: ExecutionMetric,
) -> list[Vote]:
    """Choose a statement for each question, among its candidates, by the results on its database.

    Results are equal as ``rule`` says. Statements that do not run have no vote; of results with equally many, that of the
    earliest statement is chosen. If none runs, it is the most frequent statement.

    Raises:
        RunError: no worker process can be started, or a database's journals cannot be read.
    """
    distinct = [list(dict.fromkeys(statements)) for statements in candidates]
    pairs = [
        (question, first, second)
        for question, statements in enumerate(distinct)
        for first in range(len(statements))
        # the last one is compared with itself, which tells whether it runs
        for second in (range(first + 1, len(statements)) if first < len(statements) - 1 else [first])
    ]
    items = [Item(distinct[q][first], distinct[q][second], databases[q]) for q, first, second in pairs]
    verdicts = judge.judge(items, rule)
    fails = {
        pair[:2] for pair, verdict in zip(pairs, verdicts, strict=True) if verdict.gold_error is not None
    }
    equal = {pair for pair, verdict in zip(pairs, verdicts, strict=True) if verdict.right}
    return [
        _chosen(statements, distinct[question], question, fails, equal)
        for question, statements in enumerate(candidates)
    ]


def _chosen(
    statements: Sequence[str],
    distinct: Sequence[str],
    question: int,
    fails: set[tuple[int, int]],
    equal: set[tuple[int, int, int]],
) -> Vote:
    count = Counter(statements)
    votes: dict[int, int] = {}
    for place, statement in enumerate(distinct):
        if (question, place) in fails:
            continue
        same = next((first for first in votes if (question, first, place) in equal), place)
        votes[same] = votes.get(same, 0) + count[statement]
    if not votes:
        return Vote(max(distinct, key=lambda statement: count[statement]), 0)
    best = max(votes, key=lambda place: votes[place])
    return Vote(distinct[best], votes[best])
