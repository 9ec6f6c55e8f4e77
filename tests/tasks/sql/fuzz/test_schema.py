"""What a random database must share with the original."""

from kdzoo.tasks.sql.fuzz.schema import read_schema
from kdzoo.tasks.sql.schema import ForeignKey


def test_columns_keys_and_values_are_read(build_database):
    schema = read_schema(
        build_database(
            """
            CREATE TABLE child (a INT, b INT, name VARCHAR(10) NOT NULL,
                up INTEGER GENERATED ALWAYS AS (a + 1),
                FOREIGN KEY (a, b) REFERENCES Parent (X, y), FOREIGN KEY (b) REFERENCES lone);
            CREATE TABLE lone (Id INTEGER PRIMARY KEY, price DECIMAL(5, 2));
            CREATE TABLE Parent (X INT, y BOOLEAN, z DOUBLE, free, PRIMARY KEY (y, X));
            INSERT INTO child (a, b, name) VALUES (1, 2, 'n'), (1, NULL, 'm');
            """
        )
    )
    tables = {table.name: table for table in schema.tables}
    affinities = {name: [column.affinity for column in table.columns] for name, table in tables.items()}
    assert affinities == {
        "child": ["integer", "integer", "text"],
        "lone": ["integer", "real"],
        "Parent": ["integer", "integer", "real", "text"],
    }
    assert tables["Parent"].primary_key == ("y", "X")
    assert [column.required for column in tables["child"].columns] == [False, False, True]
    assert [column.values for column in tables["child"].columns] == [(1,), (2,), ("n", "m")]
    assert schema.foreign_keys == (
        ForeignKey("child", ("a", "b"), "Parent", ("X", "y")),
        ForeignKey("child", ("b",), "lone", ("Id",)),
    )


def test_parents_come_before_children_and_cycles_come_too(build_database):
    schema = read_schema(
        build_database(
            """
            CREATE TABLE grandchild (c REFERENCES child (id));
            CREATE TABLE child (id PRIMARY KEY, p REFERENCES parent (id), me REFERENCES child (id));
            CREATE TABLE parent (id PRIMARY KEY);
            CREATE TABLE hen (id PRIMARY KEY, e REFERENCES egg (id));
            CREATE TABLE egg (id PRIMARY KEY, h REFERENCES hen (id));
            CREATE VIEW seen AS SELECT * FROM child;
            CREATE INDEX by_p ON child (p);
            """
        )
    )
    names = [table.name for table in schema.tables]
    assert sorted(names) == ["child", "egg", "grandchild", "hen", "parent"]
    assert names.index("parent") < names.index("child") < names.index("grandchild")
    assert len(schema.statements) == 7
