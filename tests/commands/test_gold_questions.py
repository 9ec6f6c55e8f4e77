"""Files of gold questions in Spider's and BIRD's format, each question on its database, or told what is wrong."""

import json
import sqlite3

import pytest

from kdzoo.commands.gold_questions import describe_gold, read_gold_questions
from kdzoo.errors import UserError


@pytest.fixture
def databases(tmp_path):
    folder = tmp_path / "databases"
    for name in ("shop", "zoo"):
        (folder / name).mkdir(parents=True)
        sqlite3.connect(folder / name / f"{name}.sqlite").close()
    return folder


@pytest.fixture
def write(tmp_path):
    def write(entries):
        file = tmp_path / "gold.json"
        file.write_text(json.dumps(entries))
        return file

    return write


@pytest.mark.parametrize(
    ("asked", "sql"), [("question", "query"), ("SpiderSynQuestion", "query"), ("question", "SQL")]
)
def test_both_formats_are_read_in_their_order(write, databases, asked, sql):
    entries = [
        {"db_id": name, asked: f"How many in {name}?", sql: f"SELECT {name}"} for name in ("zoo", "shop")
    ]
    found = read_gold_questions(write(entries), databases)
    assert [question.sql for question in found] == ["SELECT zoo", "SELECT shop"]
    assert [question.database for question in found] == [
        databases / f"{n}/{n}.sqlite" for n in ("zoo", "shop")
    ]


def test_a_changed_question_counts_before_the_original(write, databases):
    entry = {
        "db_id": "zoo",
        "question": "How many lions?",
        "SpiderSynQuestion": "How many cats?",
        "query": "SELECT 1",
    }
    assert read_gold_questions(write([entry]), databases)[0].text == "How many cats?"


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([], "holds no questions"),
        ({}, "gold.json"),
        ([{"db_id": "zoo", "question": "How?"}], "gold.json"),
        ([{"db_id": "park", "question": "How?", "query": "SELECT 1"}], "park"),
        ([3], "gold.json"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(write, databases, entries, words):
    with pytest.raises(UserError, match=words):
        read_gold_questions(write(entries), databases)


def test_without_a_folder_of_databases_that_is_told(write, tmp_path):
    with pytest.raises(UserError, match="nowhere: there is no such folder of databases"):
        read_gold_questions(write([]), tmp_path / "nowhere")


def test_predictions_are_held_against_all_questions_by_their_ids(write, databases):
    entries = [{"question_id": n, "db_id": "zoo", "question": "How?", "SQL": f"SELECT {n}"} for n in (7, 5)]
    file = write(entries)
    gold = describe_gold(file, read_gold_questions(file, databases))
    assert gold.count == 2
    assert gold.order_of([("p:1", {"question_id": 5}), ("p:2", {"question_id": 7})]) == [1, 0]
    assert gold.text_keys == {"db_id", "question", "sql"}
