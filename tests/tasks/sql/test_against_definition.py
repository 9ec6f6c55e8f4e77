"""Verdicts on a thousand near misses equal a slow, literal reading of the official evaluator's definition."""

import json
import random
import sqlite3
from collections import Counter
from itertools import permutations

import pytest
import sqlparse

from kdzoo.tasks.sql import Item, Judge, Limits
from kdzoo.tasks.sql.fuzz.mutants import mutants_of
from kdzoo.tasks.sql.fuzz.schema import read_schema

_STRIDES = 300


def clean(query):
    for split, joined in (("> =", ">="), ("< =", "<="), ("! =", "!=")):
        query = query.replace(split, joined)
    words = sqlparse.parse(query)[0].flatten()
    return "".join(word.value for word in words if word.value.lower() != "distinct")


def run(database, query):
    """The rows, None for an error, or "slow"."""
    connection = sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)
    connection.text_factory = lambda raw: raw.decode(errors="ignore")
    strides = []
    connection.set_progress_handler(lambda: strides.append(1) or len(strides) > _STRIDES, 10_000)
    try:
        return connection.execute(query).fetchall()
    except (sqlite3.Error, sqlite3.Warning):
        return "slow" if len(strides) > _STRIDES else None
    finally:
        connection.close()


def as_text(row):
    return tuple(sorted(row, key=lambda value: str(value) + str(type(value))))


def equal(gold, predicted, ordered):
    if not gold and not predicted:
        return True
    if len(gold) != len(predicted) or len(gold[0]) != len(predicted[0]):
        return False
    collect = list if ordered else set
    if collect(map(as_text, gold)) != collect(map(as_text, predicted)):
        return False
    collect = list if ordered else Counter
    expected = collect(gold)
    return any(
        collect(tuple(row[i] for i in order) for row in predicted) == expected
        for order in permutations(range(len(gold[0])))
    )


def official(item):
    """The official verdict, or None where it would take too long."""
    gold, prediction = clean(item.gold), clean(item.prediction)
    expected, given = run(item.database, gold), run(item.database, prediction)
    if given == "slow" or (expected and len(expected[0]) > 6):
        return None
    return given is not None and equal(expected, given, "order by" in gold.lower())


def near_misses(gold, columns, source):
    """Mutants of a query, and changes that matter in comparing: duplicates, order, columns, what is selected."""
    return [
        *mutants_of(gold, columns, 3, source),
        f"SELECT * FROM ({gold})",
        f"SELECT * FROM ({gold}) ORDER BY 1",
        f"{gold} UNION ALL {gold}",
        f"SELECT *, 1 FROM ({gold})",
        f"{gold}; SELECT 1",
        *writings(gold),
    ]


def writings(gold):
    """What systems make of a query's text, rightly or wrongly."""
    return [
        f"{gold} ; -- done",
        f"/* {gold} */ {gold}",
        f"```sql {gold} ```",
        gold.upper(),
        gold.replace("'", '"'),
        gold.replace('"', "`"),
        gold.replace(">=", "> =").replace("<=", "< =").replace("!=", "! ="),
        gold.replace("SELECT ", "SELECT DISTINCT ", 1),
        gold.replace(" ", "\t"),
        gold.replace("(", "( DISTINCT ", 1),
        gold[: len(gold) // 2],
        gold.removeprefix("SELECT"),
    ]


@pytest.fixture(scope="module")
def items(spider_folder):
    source = random.Random(11)
    questions = json.loads((spider_folder / "dev.json").read_text(encoding="utf-8"))
    golds = sorted({(q["db_id"], q["query"]) for q in questions})
    found = []
    for name, gold in source.sample(golds, 100):
        database = spider_folder / "database" / name / f"{name}.sqlite"
        columns = {}
        for table in read_schema(database).tables:
            for column in table.columns:
                columns.setdefault(table.name.lower(), {}).setdefault(column.affinity, []).append(column.name)
        found += [Item(gold, text, database) for text in near_misses(gold, columns, source)]
    return found


def test_verdicts_are_the_official_ones(items):
    # what takes longer is not compared
    with Judge(Limits(steps=_STRIDES * 10_000)) as judge:
        verdicts = judge.judge(items, "ex")
    compared = [
        (item, verdict, expected)
        for item, verdict in zip(items, verdicts, strict=True)
        if (expected := official(item)) is not None
    ]
    assert [(item, v) for item, v, expected in compared if v.right is not expected] == []
    assert len(compared) > 1000
    assert 200 < sum(expected for _, _, expected in compared) < len(compared) - 200
