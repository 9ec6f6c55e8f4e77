"""Which questions one model gets and the one that it is compared with does not, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from kdzoo.report.comparison import Comparison, Row, is_averaged, scores_of
from kdzoo.report.groups import ModelGroup
from kdzoo.report.measured import Answer, Column, Question
from kdzoo.report.table import score_text

# So much of a question's score, at least, has one model more than the other: of several seeds, half of them.
_CLEARLY = 0.5
_ROUNDING = 1e-9
# More questions than these make a page slow.
SHOWN = 25


@dataclass(frozen=True)
class DifferingAnswer:
    """A question, and what both models answered: of each, by a seed that shows the difference most clearly, with the
    score of all its seeds in words.
    """

    question: Question
    own: Answer
    own_score: str
    baseline: Answer
    baseline_score: str


@dataclass(frozen=True)
class DifferingAnswers:
    """The questions that only ``row`` (or only its baseline) gets: how many, and the first of them."""

    row: Row
    column: Column
    is_gained: bool
    count: int
    shown: list[DifferingAnswer]


def differing_answers(comparison: Comparison) -> Iterator[DifferingAnswers]:
    """For each student and set, by the set's first metric, the questions gained and lost against its baseline."""
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
        found = [(q, x, y) for q, x, y in both if sign * (x - y) >= _CLEARLY - _ROUNDING]
        shown = [
            DifferingAnswer(
                question, *_best(row.group, column, question, sign), *_best(baseline, column, question, -sign)
            )
            for question, _, _ in found[:SHOWN]
        ]
        yield DifferingAnswers(row, column, sign > 0, len(found), shown)


def _best(group: ModelGroup, column: Column, question: Question, sign: int) -> tuple[Answer, str]:
    """The answer of the first seed whose score is the highest (or lowest) of all, and what all seeds scored."""
    answers = [
        result.answers[question]
        for member in group.members
        if (result := member.sets.get(column.set)) is not None and question in result.answers
        if column.metric in result.answers[question].values
    ]
    scores = [answer.values[column.metric] for answer in answers]
    return max(answers, key=lambda answer: sign * answer.values[column.metric]), _in_words(
        column.metric, scores
    )


def _in_words(metric: str, scores: list[float]) -> str:
    """ "right", "right with 2 of 3 seeds", or a mean score."""
    if not set(scores) <= {0.0, 1.0}:
        return score_text(metric, fmean(scores))
    if len(scores) == 1:
        return "right" if scores[0] else "wrong"
    return f"right with {int(sum(scores))} of {len(scores)} seeds"
