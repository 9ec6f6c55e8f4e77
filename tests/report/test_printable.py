"""What would do something to a terminal is shown as an escape; all other text stays."""

import unicodedata

import pytest

from kdzoo.report.printable import printable, printable_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("over\rwritten\x08\x7f", "over\\rwritten\\x08\\x7f"),
        ("\x9b2J", "\\x9b2J"),
        ("abc\u202edef\u2066", "abc\\u202edef\\u2066"),
        ("half \ud800", "half \\ud800"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("naïve 日本 می‌خواهم 👩‍👩‍👧 'x' \\n", "naïve 日本 می‌خواهم 👩‍👩‍👧 'x' \\n"),
    ],
)
def test_control_characters_are_escaped(text, shown):
    assert printable(text) == shown


def test_no_control_character_is_left():
    every = "".join(map(chr, range(0x11000)))
    left = {character for character in printable(every) if unicodedata.category(character) in ("Cc", "Cs")}
    assert left == {"\n", "\t"}


def test_a_line_stays_one():
    assert printable_line("a\nb\tc\x1b") == "a\\nb\\tc\\x1b"
