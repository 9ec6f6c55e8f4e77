"""How much each try of a statement may take."""

import pytest

from kdzoo.sql import Limits
from kdzoo.sql.budget import FirstTries, FurtherTries


def test_further_tries_get_more_each_time_and_the_full_limits_in_the_end():
    limits = Limits(seconds=10, steps=500, first_steps=2, first_seconds=0.01)
    rounds = list(FurtherTries(limits, 1, 0).rounds())
    assert rounds == [(16, pytest.approx(0.08)), (128, pytest.approx(0.64)), (500, 10)]


def test_without_a_limit_of_steps_the_seconds_end_the_rounds():
    rounds = list(FurtherTries(Limits.of_bird(), 1, 0).rounds())
    assert rounds == [(16_000_000, pytest.approx(8.0)), (0, 30.0)]


@pytest.mark.parametrize(("databases", "seconds"), [(1, 5), (10, 5), (30, 15), (100, 50)])
def test_patience_grows_with_large_suites(monkeypatch, databases, seconds):
    monkeypatch.setattr("kdzoo.sql.budget.time.monotonic", lambda: 7.0)
    assert FurtherTries(Limits(patience=5), databases, 0).left() == pytest.approx(seconds)


@pytest.mark.parametrize(("spent", "seconds"), [(0, 15), (30, 15), (36, 9), (40, 5), (500, 5)])
def test_patience_is_less_after_first_tries_that_took_long(monkeypatch, spent, seconds):
    monkeypatch.setattr("kdzoo.sql.budget.time.monotonic", lambda: 7.0)
    assert FurtherTries(Limits(patience=15), 1, spent).left() == pytest.approx(seconds)


def test_patience_ends_or_not():
    assert FurtherTries(Limits(patience=0), 1, 0).left() <= 0
    assert FurtherTries(Limits(patience=None), 1, 1e9).left() == float("inf")


def test_first_tries_shrink_when_too_many_take_long(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("kdzoo.sql.budget.time.monotonic", lambda: clock[0])
    limits = Limits(first_seconds=0.1, least_seconds=0.02)
    tries = FirstTries(limits, workers=2, databases=1)
    given = []
    for _ in range(1000):
        with tries.one() as seconds:
            given.append(seconds)
            clock[0] += seconds
    assert given[0] == 0.1
    assert given[-1] == 0.02
    # two workers share what a thousand hopeless statements take: far below a minute
    assert sum(given) / 2 < 20


def test_what_the_least_allows_on_each_database_of_a_suite_is_not_held_against_it(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("kdzoo.sql.budget.time.monotonic", lambda: clock[0])
    tries = FirstTries(Limits(first_seconds=0.1, least_seconds=0.02), workers=1, databases=50)
    for _ in range(1000):
        with tries.one() as seconds:
            clock[0] += 50 * 0.02
    assert seconds == 0.1


def test_bird_waits_for_every_statement():
    limits = Limits.of_bird()
    tries = FirstTries(limits, workers=1, databases=1)
    tries._left -= 1e6
    with tries.one() as seconds:
        assert seconds == limits.first_seconds
