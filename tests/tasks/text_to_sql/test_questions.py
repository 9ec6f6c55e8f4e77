"""Files of questions: every entry is checked, and problems are told by file and entry."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.errors import UserError
from kdzoo.tasks.entries import WrongEntries
from kdzoo.tasks.text_to_sql.questions import (
    BIRD_KEYS,
    SPIDER_KEYS,
    Keys,
    read_json_list,
    read_questions,
)

GOOD = {"db_id": "shop", "question": "How many?", "query": "SELECT count(*) FROM item"}


@pytest.fixture
def read(tmp_path):
    """Write entries to a file and read them; of the databases, only "shop" is there."""

    def give(entries, keys=SPIDER_KEYS, on_error="raise"):
        file = tmp_path / "dev.json"
        file.write_text(json.dumps(entries), encoding="utf-8")
        problems = WrongEntries(on_error)
        found = read_questions(file, keys, {"shop": Path("shop.sqlite")}.get, problems)
        return found if on_error == "raise" else (found, problems.report)

    return give


def test_an_entry_becomes_a_question(read):
    (question,) = read([GOOD])
    assert (question.id, question.db_id, question.text) == ("dev-0", "shop", "How many?")
    assert (question.sql, question.database) == (GOOD["query"], Path("shop.sqlite"))
    assert (question.evidence, question.difficulty) == ("", None)


def test_what_bird_adds(read):
    entry = {
        "question_id": 1471,
        "db_id": "shop",
        "question": "?",
        "evidence": " items are things ",
        "SQL": "SELECT 1",
        "difficulty": "simple",
    }
    (question,) = read([entry], BIRD_KEYS)
    assert (question.id, question.evidence, question.difficulty) == ("1471", "items are things", "simple")
    assert question.sql == "SELECT 1"


def test_of_several_keys_the_first_that_has_text_counts(read):
    keys = Keys(question=("b", "question"), sql=("query",))
    assert read([{**GOOD, "b": "other"}], keys)[0].text == "other"
    assert read([{**GOOD, "b": ""}], keys)[0].text == "How many?"
    assert read([{**GOOD, "b": 7}], keys)[0].text == "How many?"


@pytest.mark.parametrize(
    ("query", "sql"),
    [
        ("SELECT name ,  age\n\tFROM t ;", "SELECT name , age FROM t"),
        ("  SELECT 1;; ", "SELECT 1"),
        (
            "SELECT 'two  spaces' , \"and\ta tab\" FROM `a  b`",
            "SELECT 'two  spaces' , \"and\ta tab\" FROM `a  b`",
        ),
        ("SELECT [a  b] FROM t", "SELECT [a  b] FROM t"),
        ("SELECT 'it''s  so' ,  1", "SELECT 'it''s  so' , 1"),
        ("SELECT a -- the name\nFROM t", "SELECT a FROM t"),
        ("SELECT a /* the\nname */ FROM t -- end", "SELECT a FROM t"),
        ("SELECT '--' , \"/*\" FROM t", "SELECT '--' , \"/*\" FROM t"),
        ("SELECT a - -1", "SELECT a - -1"),
    ],
)
def test_gold_sql_is_put_on_one_line(read, query, sql):
    assert read([{**GOOD, "query": query}])[0].sql == sql


BAD = [
    (7, "must be an object, not a number", "not an object"),
    (None, "must be an object, not null", "not an object"),
    ([GOOD], "must be an object", "not an object"),
    ({}, "has no database name (key 'db_id')", "no database name"),
    ({**GOOD, "db_id": 3}, "has no database name", "no database name"),
    ({**GOOD, "question": None}, "has no question (key 'SpiderSynQuestion' or 'question')", "no question"),
    ({**GOOD, "question": ["How", "many"]}, "has no question", "no question"),
    ({**GOOD, "query": " \n"}, "has no gold SQL (key 'query')", "no gold SQL"),
    ({**GOOD, "query": "-- to do"}, "has no gold SQL", "no gold SQL"),
    ({**GOOD, "query": ";"}, "has no gold SQL", "no gold SQL"),
    ({"db_id": "shop", "question": "?", "SQL": "SELECT 1"}, "has no gold SQL", "no gold SQL"),
    ({**GOOD, "db_id": "bank"}, "its database 'bank' has no file bank/bank.sqlite", "no database"),
    ({**GOOD, "question": "\ud800"}, "holds half a character (a lone surrogate)", "half a character"),
    ({**GOOD, "evidence": "\udfff"}, "holds half a character", "half a character"),
]


@pytest.mark.parametrize(("entry", "message", "kind"), BAD)
def test_a_wrong_entry_is_an_error_or_is_left_out_and_counted(read, entry, message, kind):
    with pytest.raises(UserError) as caught:
        read([GOOD, entry])
    assert "dev.json: entry 1: " + message in str(caught.value)
    assert caught.value.exit_code == 2
    found, report = read([GOOD, entry, GOOD], on_error="skip")
    assert [question.id for question in found] == ["dev-0", "dev-2"]
    assert report == {f"entries left out: {kind}": 1}


def test_problems_are_counted_by_kind(read):
    found, report = read([entry for entry, _, _ in BAD], on_error="skip")
    assert found == []
    assert sum(report.values()) == len(BAD)
    assert report["entries left out: no gold SQL"] == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"db_id": "shop",\n "question"', r"dev\.json:2: not valid JSON: .* \(column 12\)"),
        (b"", r"dev\.json:1: not valid JSON"),
        (b"[]]", r"dev\.json:1: not valid JSON: Extra data"),
        (b'{"db_id": "shop"}', r"dev\.json: must hold a JSON list, not an object"),
        (b"null", r"dev\.json: must hold a JSON list, not null"),
        (b'["\xff"]', r"dev\.json:1: not UTF-8 text \(byte 2 of the file\)"),
        (b"[" * 100_000, r"dev\.json: .*nested too deeply"),
        (b"[" + b"9" * 5000 + b"]", r"dev\.json: not valid JSON: .*digits"),
        (b"SQLite format 3\0", r"dev\.json:1: not valid JSON"),
    ],
)
def test_a_malformed_file_is_named_with_the_line(tmp_path, content, message):
    file = tmp_path / "dev.json"
    file.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_json_list(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match=r"x\.json: there is no such file"):
        read_json_list(tmp_path / "x.json")
    with pytest.raises(UserError, match="is a folder, not a file"):
        read_json_list(tmp_path)


def test_a_byte_order_mark_is_passed_over(tmp_path):
    file = tmp_path / "dev.json"
    file.write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json_list(file) == [1]


# whatever JSON holds
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
entries = anything | st.fixed_dictionaries(
    {},
    optional={
        "db_id": st.just("shop") | anything,
        "question": anything,
        "SpiderSynQuestion": anything,
        "query": anything,
        "evidence": anything,
        "question_id": anything,
    },
)


@settings(deadline=None)
@given(st.lists(entries, max_size=5))
def test_any_list_is_read_or_counted(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("any") / "dev.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    problems = WrongEntries("skip")
    found = read_questions(file, SPIDER_KEYS, {"shop": Path("shop.sqlite")}.get, problems)
    assert len(found) + problems.counts.total() == len(content)
    for question in found:
        assert question.text.strip()
        assert question.sql.strip()
        (question.id + question.text + question.sql + question.evidence).encode("utf-8")
