"""The interval of a score: by its definition, and as published."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.tasks.sql.wilson import wilson_interval

Z = 1.959963984540054


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


def test_more_questions_make_it_narrower_and_more_confidence_wider():
    widths = [high - low for low, high in (wilson_interval(n // 2, n) for n in (10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)
    (low, high), (lower, higher) = wilson_interval(3, 10), wilson_interval(3, 10, z=2.575829303548901)
    assert lower < low < high < higher
