"""Prompts of at most so many tokens: what fits stays, and what can be shortened is."""

import pytest

from kdzoo.tasks.example import Example
from kdzoo.tasks.fitting import fit, surely_fits, without_longer


@pytest.fixture
def example():
    """One that is shortened to as many of its letters as fit, and says for what."""

    def shorten(fits, training):
        most = max(n for n in range(len("abcdefgh") + 1) if fits("abcdefgh"[:n]))
        return "abcdefgh"[:most] + ("!" if training else "?")

    return Example("e", "abcdefgh", "target", shorten=shorten)


def test_a_prompt_that_fits_stays(example):
    assert fit([example], 8, len, training=True) == [example]
    assert fit([example], 10**6, len, training=False) == [example]


@pytest.mark.parametrize(("training", "short"), [(True, "abc!"), (False, "abc?")])
def test_one_that_does_not_is_shortened_for_what_it_is_used_for(example, training, short):
    (fitting,) = fit([example], 3, len, training=training)
    assert (fitting.prompt, fitting.target, fitting.id) == (short, "target", "e")


def test_what_cannot_be_shortened_stays():
    example = Example("t", "a text " * 100, "target")
    assert fit([example], 10, len, training=True) == [example]


def test_a_text_that_surely_fits_is_not_counted(example):
    def count(text):
        raise AssertionError("counted")

    assert fit([example], 8 + 2, count, training=True) == [example]


@pytest.mark.parametrize(
    ("text", "limit", "fits"), [("ab", 4, True), ("ab", 3, False), ("ä", 4, True), ("ä", 3, False)]
)
def test_a_token_stands_for_one_byte_at_least_and_two_may_be_added(text, limit, fits):
    assert surely_fits(text, limit) is fits


def test_longer_ones_are_left_out_and_none_is_shortened(example):
    short = Example("s", "abc", "target")
    assert without_longer([example, short], 7, len) == [short]
    assert without_longer([example, short], 8, len) == [example, short]
    assert without_longer([example], 1, len) == []


def test_what_was_said_earlier_counts():
    talk = Example("c", "ab", "target", earlier=(("user", "abc"), ("assistant", "d")))

    def count(prompt, earlier=()):
        return len(prompt) + sum(len(text) for _, text in earlier)

    assert without_longer([talk], 6, count) == [talk]
    assert without_longer([talk], 5, count) == []
    assert talk.texts == ("abc", "d", "ab", "target")


def test_so_much_as_a_template_adds_is_no_sure_fit(example):
    assert surely_fits("abcdefgh", 10)
    assert not surely_fits("abcdefgh", 10, 3)
    with_template = lambda text: len(text) + 20  # noqa: E731
    (fitting,) = fit([example], 24, with_template, training=True, added=20)
    assert fitting.prompt == "abcd!"
