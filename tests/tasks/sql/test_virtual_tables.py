"""JSON, full-text and R-Tree tables are read as plain SQLite reads them, and no others are."""

import sqlite3

import pytest

from kdzoo.tasks.sql import Verdict

SCRIPT = """
    CREATE TABLE t (j TEXT, n INT, x AS (json_extract(j, '$[1]')));
    INSERT INTO t (j, n) VALUES ('[1, 2, 3]', 1), ('[4, 5]', 2);
    CREATE VIEW elements AS SELECT n, value FROM t, json_each(t.j);
    CREATE VIEW firsts AS SELECT json_extract(j, '$[0]') AS first FROM t;
    CREATE VIRTUAL TABLE words USING fts5(word);
    INSERT INTO words VALUES ('one'), ('two'), ('one two');
    CREATE VIRTUAL TABLE "old words" USING fts4(word);
    INSERT INTO "old words" VALUES ('one'), ('two');
    CREATE VIEW ones AS SELECT word FROM words WHERE words MATCH 'one';
    CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, 'row');
    CREATE VIRTUAL TABLE box USING rtree(id, low, high);
    INSERT INTO box VALUES (1, 0, 5), (2, 3, 9);
"""


@pytest.fixture
def database(build_database):
    return build_database(SCRIPT)


@pytest.mark.parametrize("metric", ["ex", "bird-ex"])
@pytest.mark.parametrize(
    "query",
    [
        "SELECT value FROM json_each('[1, 2]')",
        "SELECT n, value FROM t, json_each(t.j)",
        'SELECT fullkey, atom FROM json_tree(\'{"a": [1, {"b": 2}]}\')',
        "SELECT n, value FROM elements",
        "SELECT first FROM firsts",
        "SELECT x FROM t",
        "SELECT word FROM words",
        "SELECT count(*) FROM words WHERE words MATCH 'two'",
        "SELECT word FROM words WHERE word MATCH 'one' ORDER BY rank, rowid DESC",
        "SELECT word FROM words('one')",
        "SELECT word FROM \"old words\" WHERE word MATCH 'two'",
        "SELECT word FROM ones",
        "SELECT term, doc, cnt FROM vocabulary",
        "SELECT id FROM box WHERE low < 1 AND high > 4",
        "SELECT id, low, high FROM box",
    ],
)
def test_they_give_what_plain_sqlite_gives(verdict, database, query, metric):
    connection = sqlite3.connect(database)
    rows = connection.execute(query).fetchall()
    connection.close()
    values = ", ".join("(" + ", ".join(_literal(value) for value in row) + ")" for row in rows)
    assert verdict(f"VALUES {values}", query, database=database, metric=metric) == Verdict(True)


def _literal(value):
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int | float) else "'" + value.replace("'", "''") + "'"


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO words (words) VALUES ('rebuild')",
        "INSERT INTO words VALUES ('x')",
        "DELETE FROM box",
        "UPDATE box SET low = 0",
        "DROP TABLE words",
        "SELECT * FROM pragma_data_version",
        "PRAGMA data_version = 1",
        "SELECT * FROM dbstat",
        "SELECT * FROM listed",
        "SELECT * FROM tokenizer",
        "SELECT * FROM pages",
    ],
)
def test_what_lies_behind_them_stays_closed(build_database, verdict, statement):
    database = build_database(
        SCRIPT
        + """
        CREATE VIEW listed AS SELECT * FROM pragma_database_list;
        CREATE VIEW tokenizer AS SELECT fts3_tokenizer('simple') AS x;
        CREATE VIEW pages AS SELECT * FROM dbstat;
        """
    )
    before = database.read_bytes()
    found = verdict("SELECT 1", statement, database=database)
    assert not found.right
    assert found.reason is not None
    assert database.read_bytes() == before


def test_a_table_of_a_module_that_is_not_known_is_never_connected(build_database, verdict):
    database = build_database(
        """
        CREATE TABLE t (x); INSERT INTO t VALUES (1);
        PRAGMA writable_schema = 1;
        INSERT INTO sqlite_master VALUES
            ('table', 'evil', 'evil', 0, 'CREATE VIRTUAL TABLE evil USING csv(filename=''/etc/passwd'')');
        """
    )
    assert verdict("SELECT 1", "SELECT x FROM t", database=database) == Verdict(True)
    assert verdict("SELECT 1", "SELECT * FROM evil", database=database).reason is not None
