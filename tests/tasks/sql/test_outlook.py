"""What judging will still take, in words."""

import pytest

from kdzoo.tasks.sql.outlook import Outlook


def outlook(most, workers=2):
    return Outlook(slow=3, count=20, first_seconds=0.5, seconds=10, most_seconds=most, workers=workers)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s of"),
        (59.6, "1 min of"),
        (61, "1 min 1 s of"),
        (600, "10 min of"),
        (3600, "1 h of"),
        (3725, "1 h 2 min of"),
        (90000, "25 h of"),
    ],
)
def test_a_time_is_told_in_hours_minutes_and_seconds(seconds, words):
    assert f": {words} CPU time at most" in str(outlook(seconds))


def test_it_says_how_many_are_slow_and_what_each_may_take():
    text = str(outlook(120))
    assert text.startswith("3 of 20 predictions did not end in a first try of at most 0.5 s of CPU time.")
    assert "Each may take 10 s on each database" in text
    assert text.endswith("in 2 processes.")
    assert str(outlook(120, workers=1)).endswith("in 1 process.")


def test_it_is_told_of_where_it_is_more_than_a_minute():
    assert [outlook(seconds).is_long for seconds in (0, 60, 60.5)] == [False, False, True]
