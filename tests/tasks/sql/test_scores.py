"""Accuracies, their intervals, and the counts of what went wrong."""

import pytest

from kdzoo.tasks.sql import Verdict
from kdzoo.tasks.sql.scores import Accuracy, summary


def test_of_nothing_nothing_is_known():
    assert Accuracy(0, 0).score == 0.0


def test_verdicts_are_added_up():
    verdicts = [
        Verdict(True),
        Verdict(False),
        Verdict(False, "timeout"),
        Verdict(False, "no such column: T1.a"),
        Verdict(False, "no such column: b"),
        Verdict(False, 'near "FROM": syntax error'),
        Verdict(False, None, "x.sqlite: no such table: t"),
    ]
    levels = ["hard", "easy", "easy", "hard", "easy", None, "hard"]
    found = summary(verdicts, levels)
    # the official programs count a question whose gold query fails; without it, it is 1 of 6
    assert found.all == Accuracy(1, 7)
    assert found.gold_runs == Accuracy(1, 6)
    assert list(found.by_difficulty.items()) == [("easy", Accuracy(0, 3)), ("hard", Accuracy(1, 3))]
    assert found.errors == {"no such column": 2, "syntax error": 1}
    assert found.timeouts == 1
    assert found.gold_errors == 1
    assert found.as_json()["score"] == pytest.approx(1 / 7)
    assert found.as_json()["gold_runs"]["score"] == pytest.approx(1 / 6)


def test_difficulties_are_told_from_easy_to_hard():
    levels = ["challenging", "mine", "simple", "moderate", "yours"]
    found = summary([Verdict(True)] * 5, levels)
    assert list(found.by_difficulty) == ["simple", "moderate", "challenging", "mine", "yours"]
