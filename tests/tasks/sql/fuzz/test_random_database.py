"""Random databases keep to the schema: types, keys, checks."""

import random
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdzoo.tasks.sql.fuzz.random_database import write_random_database
from kdzoo.tasks.sql.fuzz.schema import read_schema

SCRIPT = """
    CREATE TABLE grandchild (child_id INT REFERENCES child (id), note TEXT NOT NULL, UNIQUE (child_id, note));
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent_code TEXT REFERENCES parent (code),
        boss INT REFERENCES child (id), age INT NOT NULL CHECK (age > 10), height REAL);
    CREATE TABLE parent (code TEXT PRIMARY KEY, size INTEGER, name VARCHAR(20));
    CREATE TABLE pair (a INT, b TEXT, PRIMARY KEY (a, b));
    CREATE TABLE of_pair (x INT, y TEXT, FOREIGN KEY (x, y) REFERENCES pair (a, b));
    CREATE TABLE one_to_one (code TEXT PRIMARY KEY REFERENCES parent (code), n INT);
    CREATE TABLE hen (id INTEGER PRIMARY KEY, egg INT REFERENCES egg (id));
    CREATE TABLE egg (id INTEGER PRIMARY KEY, hen INT NOT NULL REFERENCES hen (id));
    CREATE INDEX by_age ON child (age);
    CREATE VIEW tall AS SELECT id FROM child WHERE height > 100;
    INSERT INTO parent VALUES ('P1', 5, 'first'), ('P2', 9, 'second');
    INSERT INTO child VALUES (1, 'P1', NULL, 30, 170.5), (2, 'P2', 1, 60, NULL);
"""


def write(path, schema, seed, constants=None):
    write_random_database(path, schema, constants or {}, random.Random(seed))
    return sqlite3.connect(path)


@pytest.fixture
def schema(build_database):
    return read_schema(build_database(SCRIPT))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**9))
def test_types_keys_and_checks_hold(tmp_path_factory, schema, seed):
    connection = write(tmp_path_factory.mktemp("fuzz") / "db.sqlite", schema, seed)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    kinds = "SELECT DISTINCT typeof({}) FROM {} WHERE {} IS NOT NULL"
    for table, column, kind in (
        ("child", "age", "integer"),
        ("child", "height", "real"),
        ("parent", "name", "text"),
    ):
        found = connection.execute(kinds.format(column, table, column)).fetchall()
        assert found in ([], [(kind,)])
    connection.close()


def test_most_tables_have_rows_that_join(tmp_path, schema):
    joined = {"child": 0, "grandchild": 0, "of_pair": 0, "one_to_one": 0}
    for seed in range(20):
        connection = write(tmp_path / f"{seed}.sqlite", schema, seed)
        queries = {
            "child": "SELECT count(*) FROM child JOIN parent ON parent_code = code",
            "grandchild": "SELECT count(*) FROM grandchild JOIN child ON child_id = id",
            "of_pair": "SELECT count(*) FROM of_pair JOIN pair ON x = a AND y = b",
            "one_to_one": "SELECT count(*) FROM one_to_one JOIN parent USING (code)",
        }
        for table, query in queries.items():
            joined[table] += connection.execute(query).fetchone()[0] > 0
        connection.close()
    assert all(count >= 10 for count in joined.values()), joined


def test_values_near_the_queries_constants_are_there(tmp_path, schema):
    found = set()
    for seed in range(10):
        connection = write(tmp_path / f"{seed}.sqlite", schema, seed, {"size": [777], "name": ["%Ann%"]})
        found |= {value for row in connection.execute("SELECT size, name FROM parent") for value in row}
        connection.close()
    assert {776, 777, 778, "Ann", "Anna"} <= found


def test_the_same_source_writes_the_same_rows(tmp_path, schema):
    first, again, other = (
        list(write(tmp_path / f"{number}.sqlite", schema, seed).iterdump())
        for number, seed in enumerate([7, 7, 8])
    )
    assert first == again
    assert first != other
