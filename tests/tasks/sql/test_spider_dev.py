"""Spider's development set: gold against gold, and how many questions there are of each hardness."""

import json
from collections import Counter

import pytest

from kdzoo.tasks.sql import Item, Verdict
from kdzoo.tasks.sql.hardness import hardness


@pytest.fixture(scope="module")
def questions(spider_folder):
    return json.loads((spider_folder / "dev.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("metric", ["ex", "ts", "bird-ex"])
def test_all_1034_gold_queries_equal_themselves(judge, questions, spider_folder, metric):
    items = [
        Item(q["query"], q["query"], spider_folder / "database" / q["db_id"] / f"{q['db_id']}.sqlite")
        for q in questions
    ]
    assert judge.judge(items, metric) == [Verdict(True)] * 1034


def test_hardness_is_spread_as_the_official_evaluator_prints_it(questions):
    assert Counter(hardness(q["query"]) for q in questions) == {
        "easy": 248,
        "medium": 446,
        "hard": 174,
        "extra": 166,
    }
