"""Out of what a chat model says comes its statement; a statement alone stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.tasks.sql.extract import statement_in

PLAIN = [
    "SELECT count(*) FROM singer",
    "select a from b where c = 'x; y' and d = \"e;\"",
    "WITH a AS (SELECT 1) SELECT * FROM a",
    "SELECT a\nFROM b\nWHERE c = 1",
    "SELECT `a b` FROM `c`",
    "WITH a AS (SELECT 1)\n\nSELECT *\n\nFROM a",
    "SELECT 'see ''this''; that' FROM x",
]


@pytest.mark.parametrize("statement", PLAIN)
def test_a_statement_alone_stays_as_it_is(statement):
    assert statement_in(statement) == statement
    assert statement_in(f"  {statement}\n") == statement


FRAMES = [
    "{}",
    "{};",
    "```sql\n{}\n```",
    "```SQL\n{};\n```",
    "```\n{}\n```",
    "```sqlite\n{}",
    "Here it is:\n\n```sql\n{}\n```\nIt counts the singers.",
    "First I tried ```sql\nSELECT 0\n``` and then:\n```sql\n{}\n```",
    "```python\nprint(1)\n```\n```sql\n{}\n```",
    "<think>\nMaybe ```sql\nSELECT 9\n``` ?\n</think>\n\n{}",
    "<think>SELECT 9</think>```sql\n{}\n```",
    "no beginning of the thought</think>\n{}",
    "The tables are joined.\n{}\n\nThis gives the names; SELECTs more.",
    "SQL: {}",
    "The answer is: `{}`",
    "<reasoning>a</reasoning><answer>{}</answer>",
    "<answer>\n```sql\n{}\n```\n</answer>",
    "```sql {} ```",
]


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("statement", ["SELECT count(*) FROM singer", "WITH a AS (SELECT 1) SELECT * FROM a"])
def test_words_and_fences_around_it_are_gone(frame, statement):
    found = statement_in(frame.format(statement))
    assert found.removesuffix(";") == statement


def test_a_statement_of_several_lines():
    statement = "SELECT name\nFROM singer\nWHERE age > (\n  SELECT avg(age)\n  FROM singer\n)"
    assert statement_in(f"Sure!\n{statement};\nGood luck.") == statement
    assert statement_in(f"Sure!\n```sql\n{statement}\n```") == statement


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("I do not know.", "I do not know."),
        ("", ""),
        ("<think>\nI wonder whether SELECT 1", ""),
        ("With all respect, no.", "With all respect, no."),
        ("```python\nprint(1)\n```", "```python\nprint(1)\n```"),
    ],
)
def test_where_there_is_none(said, expected):
    assert statement_in(said) == expected


@given(st.text(alphabet=st.sampled_from("`sql\nSELECT WITH;<think></'\":a "), max_size=80))
def test_it_adds_nothing(text):
    assert statement_in(text) in text
