"""Accuracies, their intervals, and the counts of what went wrong."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.tasks.sql import Verdict
from kdzoo.tasks.sql.scores import Accuracy, summary
from kdzoo.tasks.sql.wilson import wilson_interval

Z = 1.959963984540054


@settings(deadline=None)
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_shares_whose_own_normal_interval_reaches_the_observed_one(pair):
    # Wilson's definition: the ends p solve (observed - p)^2 = z^2 p (1 - p) / n
    right, count = pair
    observed = right / count
    for end in wilson_interval(right, count):
        assert math.isclose((observed - end) ** 2, Z * Z * end * (1 - end) / count, abs_tol=1e-12)
    low, high = wilson_interval(right, count)
    assert 0 <= low <= observed <= high <= 1
    assert low < high


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_published_intervals(right, count, low, high):
    # the last: Newcombe 1998, table I
    assert wilson_interval(right, count) == pytest.approx((low, high), abs=5e-5)


def test_of_nothing_nothing_is_known():
    assert wilson_interval(0, 0) == (0.0, 1.0)
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
