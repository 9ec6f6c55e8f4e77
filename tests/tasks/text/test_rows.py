"""Rows of the usual forms become a prompt, what follows it, and what was said before; others are told with their number."""

import pytest

from kdzoo.errors import UserError
from kdzoo.tasks.text import rows
from kdzoo.tasks.text.rows import Turn, WrongRows, conversation_of, pair_of, split_text


def conversation(*texts):
    roles = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    return [{"role": roles[text[0]], "content": text[2:]} for text in texts]


CONVERSATION = conversation("s be x", "u 1", "a 2", "u 3", "a 4")


def test_the_last_turn_of_a_conversation_has_all_before_it():
    said = (("system", "be x"), ("user", "1"), ("assistant", "2"))
    assert conversation_of(CONVERSATION, all_turns=False) == [Turn("3", "4", said)]


def test_all_turns_are_a_prompt_each():
    assert conversation_of(CONVERSATION, all_turns=True) == [
        Turn("1", "2", (("system", "be x"),)),
        Turn("3", "4", (("system", "be x"), ("user", "1"), ("assistant", "2"))),
    ]


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (conversation("u 1", "a 2", "u 3"), rows.NO_ANSWER),
        (conversation("u 1", "a 2", "a 3"), rows.NO_ANSWER),
        (conversation("a 1"), rows.NO_ANSWER),
        ([], rows.NO_ANSWER),
        (conversation("u 1", "a  "), rows.NO_TARGET),
        (conversation("u  ", "a 1"), rows.NO_PROMPT),
        (conversation("u 1", "t 2", "a 3"), rows.OTHER_FORM),
        ("user: 1", rows.OTHER_FORM),
        (None, rows.OTHER_FORM),
        ([{"from": "human", "value": "1"}], rows.OTHER_FORM),
        (
            [{"role": "user", "content": [{"type": "image"}]}, {"role": "assistant", "content": "1"}],
            rows.OTHER_FORM,
        ),
        (conversation("s \ud800", "u 1", "a 2"), rows.HALF),
    ],
)
def test_conversations_that_cannot_be_used(messages, reason):
    assert conversation_of(messages, all_turns=False) == reason


@pytest.mark.parametrize(
    ("prompt", "completion", "expected"),
    [
        ("a ", " b", [Turn("a ", " b")]),
        (
            conversation("u 1", "a 2", "u 3"),
            conversation("a 4"),
            [Turn("3", "4", (("user", "1"), ("assistant", "2")))],
        ),
        (conversation("u 1"), "2", [Turn("1", "2")]),
        (conversation("u 1"), conversation("a 2", "u 3"), rows.OTHER_FORM),
        ("a", "  ", rows.NO_TARGET),
        ("a", None, rows.NO_TARGET),
        (None, "a", rows.NO_PROMPT),
        (" ", "a", rows.NO_PROMPT),
        ("a", 5, rows.OTHER_FORM),
    ],
)
def test_pairs(prompt, completion, expected):
    assert pair_of(prompt, completion) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n# b\n# c", [Turn("a\n# b\n# ", "c")]),
        ("a # b", "no separator"),
        ("\n# b", rows.NO_PROMPT),
        ("a\n# ", rows.NO_TARGET),
        (None, rows.OTHER_FORM),
    ],
)
def test_a_text_is_cut_after_its_last_separator(text, expected):
    assert split_text(text, "\n# ") == expected


class TestWrongRows:
    def noted(self, on_error):
        wrong = WrongRows("data, split train", on_error)
        for row in (1, 4, 5, 9):
            wrong.note(row, rows.NO_TARGET)
        wrong.note(7, rows.OTHER_FORM)
        return wrong

    def test_they_are_told_with_their_numbers(self):
        with pytest.raises(UserError) as told:
            self.noted("raise").finish()
        assert str(told.value) == (
            "data, split train: rows that cannot be used: 4 with an empty target (rows 1, 4, 5, ...); 1 with another form "
            '(row 7); on_error = "skip" leaves them out'
        )

    def test_they_are_counted_where_they_are_skipped(self):
        found = self.noted("skip").finish()
        assert found == {"rows left out: an empty target": 4, "rows left out: another form": 1}

    def test_none_are_none(self):
        assert WrongRows("data", "raise").finish() == {}
