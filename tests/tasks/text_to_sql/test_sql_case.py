"""The SQL of training questions in lower case: what SQLite makes of it stays the same."""

import json
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_data import spider_folder

from kdzoo.tasks.load import load
from kdzoo.tasks.text_to_sql.spider import SpiderData
from kdzoo.tasks.text_to_sql.sql_case import lower_outside_quotes


@pytest.mark.parametrize(
    ("sql", "lowered"),
    [
        (
            "SELECT T1.Name FROM Singer AS T1 WHERE Country = 'France'",
            "select t1.name from singer as t1 where country = 'France'",
        ),
        ('SELECT Name FROM Dogs WHERE Size = "LRG"', 'select name from dogs where size = "LRG"'),
        ("SELECT `Free Meal` FROM [Some Table]", "select `Free Meal` from [Some Table]"),
        ("SELECT 'It''s ONE' , Two", "select 'It''s ONE' , two"),
        ("SELECT 'Never ENDS", "select 'Never ENDS"),
        ("", ""),
    ],
)
def test_what_stands_in_quotes_stays(sql, lowered):
    assert lower_outside_quotes(sql) == lowered


@given(st.text(alphabet="aB'\"`[] ", max_size=30))
def test_nothing_but_the_case_changes_and_a_second_time_nothing(sql):
    lowered = lower_outside_quotes(sql)
    assert lowered.lower() == sql.lower()
    assert lower_outside_quotes(lowered) == lowered


def test_real_queries_give_the_same_rows():
    folder = spider_folder()
    questions = json.loads((folder / "dev.json").read_text(encoding="utf-8"))[::4]
    changed = 0
    for question in questions:
        name, sql = question["db_id"], question["query"]
        lowered = lower_outside_quotes(sql)
        changed += lowered != sql
        with sqlite3.connect(folder / "database" / name / f"{name}.sqlite") as connection:
            connection.text_factory = bytes
            rows = [connection.execute(query).fetchall() for query in (sql, lowered)]
        assert rows[0] == rows[1], sql
    assert changed > 200


def test_training_questions_have_it_and_those_of_the_evaluation_do_not(tmp_path):
    path = str(spider_folder())
    config = {"kind": "spider", "path": path, "max_train": 5, "max_evaluation": 5}
    plain, lower = (
        load(SpiderData(**config, sql_case=case), cache=tmp_path) for case in ("as_written", "lower")
    )
    assert [e.target for e in lower.train] == [lower_outside_quotes(e.target) for e in plain.train]
    assert [e.target for e in lower.train] != [e.target for e in plain.train]
    assert [e.prompt for e in lower.train] == [e.prompt for e in plain.train]
    assert [e.target for e in lower.evaluation] == [e.target for e in plain.evaluation]
