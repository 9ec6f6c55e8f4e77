"""What a prompt needs to know of a database: tables, keys, first values."""

import pytest

from kdzoo.errors import RunError
from kdzoo.tasks.sql.schema import Column, ForeignKey, open_read_only
from kdzoo.tasks.text_to_sql.schema import read_schema


def columns(schema, table):
    return {c.name: c for t in schema.tables if t.name == table for c in t.columns}


def test_tables_columns_and_types_come_in_their_order(concerts):
    schema = read_schema(concerts)
    assert [table.name for table in schema.tables] == ["singer", "concert", "venue"]
    assert [c.name for c in schema.tables[0].columns] == [
        "singer_id",
        "Name",
        "Country",
        "song release",
        "bio",
    ]
    assert columns(schema, "singer")["singer_id"] == Column("singer_id", "int", True, "", ("1", "2"))


def test_types_are_in_lower_case_and_text_where_none_is_declared(build_database):
    schema = read_schema(build_database("CREATE TABLE t (a VARCHAR(20), b, c Double Precision)"))
    assert [c.type for c in schema.tables[0].columns] == ["varchar(20)", "text", "double precision"]


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("(NULL), ('a'), ('a'), (NULL), ('b'), ('c')", ("a", "b")),
        ("('b'), ('a'), ('b')", ("b", "a")),
        (
            "('1234567890123456789012345'), ('12345678901234567890123456'), ('x')",
            ("1234567890123456789012345", "x"),
        ),
        ("(''), (' '), ('a')", ("a",)),
        ("('a' || char(10) || ' b'), ('a b'), ('c')", ("a b", "c")),
        ("(x'00ff'), (7), (2.5)", ("7", "2.5")),
        ("(NULL), (NULL)", ()),
    ],
)
def test_the_first_two_distinct_short_values(build_database, stored, shown):
    schema = read_schema(build_database(f"CREATE TABLE t (x); INSERT INTO t VALUES {stored};"))
    assert schema.tables[0].columns[0].values == shown


def test_an_index_does_not_change_which_values_come_first(build_database):
    script = "CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('z'), ('m'), ('a'); CREATE INDEX i ON t (x);"
    assert read_schema(build_database(script)).tables[0].columns[0].values == ("z", "m")


def test_text_that_is_not_utf_8_loses_its_bad_bytes(build_database):
    script = "CREATE TABLE t (x TEXT); INSERT INTO t VALUES (CAST(x'41ff42' AS TEXT));"
    assert read_schema(build_database(script)).tables[0].columns[0].values == ("AB",)


def test_foreign_keys_in_the_order_of_their_declaration(build_database):
    schema = read_schema(
        build_database(
            """
            CREATE TABLE Parent (id INT PRIMARY KEY, code TEXT UNIQUE);
            CREATE TABLE pair (a INT, b INT, PRIMARY KEY (a, b));
            CREATE TABLE child (p INT REFERENCES parent, c TEXT REFERENCES Parent (code), x INT, y INT,
                lost INT REFERENCES nowhere (id), FOREIGN KEY (x, y) REFERENCES pair);
            """
        )
    )
    assert list(schema.foreign_keys) == [
        ForeignKey("child", ("p",), "Parent", ("id",)),
        ForeignKey("child", ("c",), "Parent", ("code",)),
        ForeignKey("child", ("x", "y"), "pair", ("a", "b")),
    ]


def test_sqlites_own_tables_and_views_are_no_part_of_it(build_database):
    script = """
        CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, x TEXT);
        INSERT INTO t (x) VALUES ('a');
        CREATE VIEW v AS SELECT x FROM t;
        ANALYZE;
    """
    assert [table.name for table in read_schema(build_database(script)).tables] == ["t"]


def test_comments_are_found_whatever_their_case(concerts):
    comments = {("singer", "name"): "full name", ("venue", "nothing"): "x"}
    schema = read_schema(concerts, comments)
    assert columns(schema, "singer")["Name"].comment == "full name"
    assert columns(schema, "singer")["Country"].comment == ""


def test_odd_names(build_database):
    script = (
        """CREATE TABLE "a ""b"" c" ("x'y" INT, "select" TEXT); INSERT INTO "a ""b"" c" VALUES (1, 'v');"""
    )
    (table,) = read_schema(build_database(script)).tables
    assert table.name == 'a "b" c'
    assert [(c.name, c.values) for c in table.columns] == [("x'y", ("1",)), ("select", ("v",))]


@pytest.mark.parametrize("name", ["a b", "ä?#%41", "quote'\"", "semi;colon&mode=rwc"])
def test_a_file_may_have_any_name(build_database, name):
    assert len(read_schema(build_database("CREATE TABLE t (x)", name)).tables) == 1


def test_reading_writes_nothing(concerts):
    before = concerts.read_bytes()
    read_schema(concerts)
    connection = open_read_only(concerts)
    with pytest.raises(Exception, match="readonly"):
        connection.execute("DELETE FROM singer")
    connection.close()
    assert concerts.read_bytes() == before
    assert [path.name for path in concerts.parent.iterdir()] == ["concerts.sqlite"]


@pytest.mark.parametrize("content", [None, b"not a database" * 100, b"SQLite format 3\0" + b"\1" * 4080])
def test_what_is_no_database_is_named(tmp_path, content):
    path = tmp_path / "x.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match=r"x\.sqlite: "):
        read_schema(path)
    assert path.exists() == (content is not None)


def test_a_damaged_database_is_named(build_database):
    values = ", ".join(f"('value {n}')" for n in range(2000))
    path = build_database(f"CREATE TABLE t (x TEXT); INSERT INTO t VALUES {values};")
    content = bytearray(path.read_bytes())
    content[4096 : 4096 + 2000] = b"\xff" * 2000
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"db\.sqlite: its schema cannot be read"):
        read_schema(path)
