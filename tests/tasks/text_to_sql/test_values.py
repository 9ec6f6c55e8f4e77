"""Which contents of a database a question mentions."""

import pytest

from kdzoo.errors import RunError
from kdzoo.tasks.text_to_sql.prompt_style import Match
from kdzoo.tasks.text_to_sql.values import ValueIndex

SCRIPT = """
    CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT, country VARCHAR(20), age INT, code TEXT);
    INSERT INTO singer VALUES
        (1, 'Joe Sharp', 'Netherlands', 52, 'US'), (2, 'Timbaland', 'France', 31, 'a'),
        (3, 'Rose White', 'France', 31, '2014'), (4, 'John Nizinik', 'United States', 20, '2015');
    CREATE TABLE city (city_name TEXT, country TEXT, note, score REAL);
    INSERT INTO city VALUES
        ('San José', 'France', 'a text of more than sixty characters, which is longer than any name is', 1.5),
        ('New York City', 'United States', NULL, 31), ('São Paulo', NULL, x'46', NULL);
"""


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    import sqlite3

    path = tmp_path_factory.mktemp("values") / "db.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(SCRIPT)
    connection.close()
    with ValueIndex(path) as index:
        yield index


@pytest.mark.parametrize(
    ("question", "matches"),
    [
        (
            "How many singers are from France?",
            [("singer", "country", "France"), ("city", "country", "France")],
        ),
        ("how many are from FRANCE", [("singer", "country", "France"), ("city", "country", "France")]),
        ("What is the age of Timbaland?", [("singer", "name", "Timbaland")]),
        ("Which songs did Joe Sharpe write?", [("singer", "name", "Joe Sharp")]),
        ("Which songs did joe sharp write?", [("singer", "name", "Joe Sharp")]),
        ("Who lives in New York City?", [("city", "city_name", "New York City")]),
        ("Who lives in Sao Paulo?", [("city", "city_name", "São Paulo")]),
        ("What happened in 2014?", [("singer", "code", "2014")]),
        ("What is the code US?", [("singer", "code", "US")]),
        # not mentioned
        ("Tell us a name", []),
        ("Tell US singers a name", [("singer", "code", "US")]),
        ("How many singers are there?", []),
        ("Who is called Rose?", []),
        ("What happened in 2016?", []),
        ("Who is 31?", []),
        ("", []),
        ("?!", []),
        ("the of and is", []),
    ],
)
def test_contents_that_a_question_mentions(index, question, matches):
    assert index.match(question) == [Match(table, column, (value,)) for table, column, value in matches]


def test_where_a_value_stands_to_the_letter_no_other_of_its_column_is_meant(build_database):
    script = "CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('Johnson'), ('Johnsen'), ('Johnston');"
    with ValueIndex(build_database(script)) as index:
        assert index.match("Where does Johnsen live?") == [Match("t", "x", ("Johnsen",))]


def test_at_most_three_values_of_a_column_the_best_first(build_database):
    script = "CREATE TABLE t (x TEXT); INSERT INTO t VALUES " + ", ".join(f"('unit {n}')" for n in range(9))
    with ValueIndex(build_database(script)) as index:
        (match,) = index.match("What is in unit 7, unit 3, unit 5 and unit 1?")
    assert match.values == ("unit 1", "unit 3", "unit 5")


def test_values_are_shown_on_one_line_and_once(build_database):
    script = "CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('New' || char(10) || 'York'), ('New York');"
    with ValueIndex(build_database(script)) as index:
        assert index.match("Where is New York?") == [Match("t", "x", ("New York",))]


def test_a_question_may_hold_what_means_something_to_the_index(index):
    for question in (
        '"',
        "France OR",
        'NEAR("a" "b")',
        "name:France*",
        "(",
        "'; DROP TABLE texts; --",
        "\0France",
    ):
        found = {value for match in index.match(question) for value in match.values}
        assert found <= {"France"}


def test_a_damaged_database_is_named(build_database):
    values = ", ".join(f"('value {n}')" for n in range(2000))
    path = build_database(f"CREATE TABLE t (x TEXT); INSERT INTO t VALUES {values};")
    content = bytearray(path.read_bytes())
    content[4096 : 4096 + 2000] = b"\xff" * 2000
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"db\.sqlite: its contents cannot be read"):
        ValueIndex(path)
