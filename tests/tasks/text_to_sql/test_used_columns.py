"""Which columns a query reads, as SQLite itself resolves them."""

import json
import random
import sqlite3

import pytest

from kdzoo.tasks.text_to_sql.schema import read_schema
from kdzoo.tasks.text_to_sql.used_columns import used_columns


@pytest.mark.parametrize(
    ("sql", "used"),
    [
        ("SELECT name FROM singer", {"singer.Name"}),
        ("SELECT T1.name FROM singer AS T1 WHERE t1.COUNTRY = 'x'", {"singer.Name", "singer.Country"}),
        (
            "SELECT s.name FROM concert c JOIN singer s ON c.singer_id = s.singer_id ORDER BY c.concert_id",
            {"singer.Name", "singer.singer_id", "concert.singer_id", "concert.concert_id"},
        ),
        (
            "SELECT name FROM singer WHERE singer_id NOT IN (SELECT singer_id FROM concert)",
            {"singer.Name", "singer.singer_id", "concert.singer_id"},
        ),
        ('SELECT "song release", `order` FROM singer, concert', {"singer.song release", "concert.order"}),
        ("SELECT city FROM venue UNION SELECT country FROM singer", {"venue.city", "singer.Country"}),
        ("SELECT * FROM venue", {"venue.venue_id", "venue.city"}),
        (
            "SELECT name FROM singer JOIN concert USING (`singer_id`)",
            {"singer.Name", "singer.singer_id", "concert.singer_id"},
        ),
        (
            "SELECT name FROM singer NATURAL LEFT JOIN concert",
            {"singer.Name", "singer.singer_id", "concert.singer_id"},
        ),
        # a table of which no column is read counts with its first
        ("SELECT count(*) FROM venue", {"venue.venue_id"}),
        ("SELECT count(*) FROM singer, venue WHERE name = 'x'", {"singer.Name", "venue.venue_id"}),
        ("SELECT 1", set()),
        # a query that SQLite refuses: what its text names
        ("SELECT name, FROM singer WHERE age > 1", {"singer.Name"}),
        ("SELECT `song release` FROM singer GROUP BY HAVING", {"singer.song release"}),
        ("DELETE FROM venue WHERE city = 'x'", {"venue.city"}),
        ("", set()),
    ],
)
def test_columns_that_a_query_reads(concerts, sql, used):
    found = used_columns(sql, concerts, read_schema(concerts))
    assert {f"{table}.{column}" for table, column in found} == used


def test_the_query_does_not_run(concerts):
    before = concerts.read_bytes()
    endless = (
        "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT count(city) FROM r, venue"
    )
    assert used_columns(endless, concerts, read_schema(concerts)) == {("venue", "city")}
    for sql in (
        "DROP TABLE venue",
        "SELECT 1; DROP TABLE venue",
        "ATTACH 'x' AS y",
        "PRAGMA user_version = 3",
    ):
        used_columns(sql, concerts, read_schema(concerts))
    assert concerts.read_bytes() == before


def test_gold_queries_of_spider_need_no_other_column(spider):
    questions = json.loads((spider / "train.json").read_text(encoding="utf-8"))
    golds = random.Random(2).sample(sorted({(q["db_id"], q["query"]) for q in questions}), 300)
    for name, sql in golds:
        database = spider / "database" / name / f"{name}.sqlite"
        tables = {}
        for table, column in used_columns(sql, database, read_schema(database)):
            tables.setdefault(table, []).append(f'"{column}"')
        connection = sqlite3.connect(":memory:")
        for table, columns in tables.items():
            connection.execute(f'CREATE TABLE "{table}" ({", ".join(columns)})')
        connection.execute(f"EXPLAIN {sql}")
        connection.close()
