"""Entries that are not as they should be end the reading, or are left out and counted."""

import pytest

from kdzoo.errors import UserError
from kdzoo.tasks.entries import WrongEntries, is_unicode


def test_the_first_ends_the_reading_and_says_how_to_go_on():
    with pytest.raises(UserError) as caught:
        WrongEntries("raise").note("dev.json: entry 3", "has no query", "no query")
    assert str(caught.value) == 'dev.json: entry 3: has no query (on_error = "skip" leaves such entries out)'


def test_or_all_are_counted_by_reason():
    wrong = WrongEntries("skip")
    for kind in ("no query", "blank", "no query"):
        wrong.note("somewhere", "is wrong", kind)
    assert wrong.report == {"entries left out: blank": 1, "entries left out: no query": 2}


@pytest.mark.parametrize(
    ("text", "whole"), [("", True), ("ä€😀", True), ("\ud83d", False), ("a\ude00", False)]
)
def test_half_a_character_is_told(text, whole):
    assert is_unicode(text) is whole
