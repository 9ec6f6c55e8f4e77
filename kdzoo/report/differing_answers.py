"""Which questions one model gets and the SFT student does not, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kdzoo.report.comparison import Comparison, Row, is_averaged, scores_of
from kdzoo.report.groups import ModelGroup
from kdzoo.report.measured import Answer, Column, Question

# So much of a question's score, at least, has one model more than the other: of several seeds, half of them.
_CLEARLY = 0.5
# More questions than these make a page slow.
SHOWN = 25


@dataclass(frozen=True)
class DifferingAnswer:
    """A question, and what both models answered: of each, by a seed that shows the difference most clearly."""

    question: Question
    own: Answer
    own_score: float
    baseline: Answer
    baseline_score: float


@dataclass(frozen=True)
class DifferingAnswers:
    """The questions that only ``row`` (or only its SFT student) gets: how many, and the first of them."""

    row: Row
    column: Column
    is_gained: bool
    count: int
    shown: list[DifferingAnswer]


def differing_answers(comparison: Comparison) -> Iterator[DifferingAnswers]:
    """For each student and set, by the set's first metric, the questions gained and lost against the SFT student."""
    first = {column.set: column for column in reversed(comparison.columns) if is_averaged(column)}
    for row in comparison.rows:
        if row.baseline is not None and row.baseline is not row.group:
            for column in reversed(first.values()):
                yield from _of(row, row.baseline, column)


def _of(row: Row, baseline: ModelGroup, column: Column) -> Iterator[DifferingAnswers]:
    own, other = scores_of(row.group, column), scores_of(baseline, column)
    if own is None or other is None:
        return
    theirs = dict(zip(other[0], other[1].mean(axis=0), strict=True))
    both = [
        (q, float(x), float(theirs[q]))
        for q, x in zip(own[0], own[1].mean(axis=0), strict=True)
        if q in theirs
    ]
    for sign in (1, -1):
        found = [(q, x, y) for q, x, y in both if sign * (x - y) >= _CLEARLY]
        shown = [
            DifferingAnswer(q, _answer(row.group, column, q, sign), x, _answer(baseline, column, q, -sign), y)
            for q, x, y in found[:SHOWN]
        ]
        yield DifferingAnswers(row, column, sign > 0, len(found), shown)


def _answer(group: ModelGroup, column: Column, question: Question, sign: int) -> Answer:
    """The answer of the first seed whose score is the highest (or lowest) of all."""
    answers = [
        result.answers[question]
        for member in group.members
        if (result := member.sets.get(column.set)) is not None and question in result.answers
    ]
    return max(answers, key=lambda answer: sign * answer.values[column.metric])
