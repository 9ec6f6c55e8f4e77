"""The one reader of a SQLite schema: what SQLite itself says of tables, columns and keys."""

from contextlib import closing

import pytest

from kdzoo.tasks.sql.schema import Column, ForeignKey, open_read_only, quoted, read_tables, table_names


@pytest.fixture
def read(build_database):
    """Read the tables that a script makes; of a column's values their number."""

    def count(connection, table, column):
        return connection.execute(f"SELECT count({quoted(column)}) FROM {quoted(table)}").fetchone()

    def read(script):
        with closing(open_read_only(build_database(script))) as connection:
            return read_tables(connection, table_names(connection), count)

    return read


def test_columns_are_as_they_were_declared_and_the_caller_looks_at_values(read):
    schema = read(
        """
        CREATE TABLE t (b Varchar(9) NOT NULL, a, made INT GENERATED ALWAYS AS (1), PRIMARY KEY (a, b));
        INSERT INTO t (a, b) VALUES (1, 'x'), (NULL, 'y');
        """
    )
    (table,) = schema.tables
    assert table.columns == (
        Column("b", "varchar(9)", primary_key=2, values=(2,), required=True),
        Column("a", "text", primary_key=1, values=(1,)),
    )
    assert table.primary_key == ("a", "b")


@pytest.mark.parametrize(
    ("declared", "affinity"),
    [
        ("Bigint", "integer"),
        ("BOOL", "integer"),
        ("Decimal(5)", "real"),
        ("FLOAT", "real"),
        ("", "text"),
        ("date", "text"),
    ],
)
def test_affinities_follow_the_declared_type(read, declared, affinity):
    assert read(f"CREATE TABLE t (x {declared})").tables[0].columns[0].affinity == affinity


@pytest.mark.parametrize(
    ("declared", "keys"),
    [
        ("FOREIGN KEY (x, y) REFERENCES pair", [ForeignKey("t", ("x", "y"), "Pair", ("B", "A"))]),
        ("FOREIGN KEY (x, y) REFERENCES PAIR (a, b)", [ForeignKey("t", ("x", "y"), "Pair", ("A", "B"))]),
        ("FOREIGN KEY (X) REFERENCES nowhere (id)", [ForeignKey("t", ("x",), "nowhere", ("id",))]),
        # SQLite calls these a mismatch: one column for a key of two, or a key of a table that is not there
        ("FOREIGN KEY (x) REFERENCES pair", []),
        ("FOREIGN KEY (x) REFERENCES nowhere", []),
        (
            "FOREIGN KEY (x) REFERENCES one, FOREIGN KEY (y) REFERENCES one (id)",
            [ForeignKey("t", ("x",), "one", ("id",)), ForeignKey("t", ("y",), "one", ("id",))],
        ),
    ],
)
def test_foreign_keys_name_what_they_refer_to_by_its_own_name(read, declared, keys):
    schema = read(
        f"""
        CREATE TABLE t (x INT, y INT, {declared});
        CREATE TABLE "Pair" (A INT, B INT, PRIMARY KEY (B, A));
        CREATE TABLE one (id INTEGER PRIMARY KEY);
        """
    )
    assert list(schema.foreign_keys) == keys
