"""Schemas as the statements that create them: SQLite itself reads back what is written."""

import sqlite3
from contextlib import closing
from dataclasses import replace

from kdzoo.tasks.sql.schema import Column, Schema, Table, read_tables, table_names
from kdzoo.tasks.text_to_sql.prompt import prompt_text, schema_text
from kdzoo.tasks.text_to_sql.prompt_style import Match, PromptStyle
from kdzoo.tasks.text_to_sql.schema import read_schema

DDL = PromptStyle(form="ddl")


def created(text):
    """The schema of the database that a prompt's statements create."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(text.removeprefix("Database schema:\n\n"))
        return read_tables(connection, table_names(connection), lambda *_: ())


def without_values(schema):
    def bare(column):
        return replace(column, values=(), comment="")

    tables = tuple(Table(table.name, tuple(map(bare, table.columns))) for table in schema.tables)
    return replace(schema, tables=tables)


def test_the_whole_prompt(concerts):
    text = prompt_text(
        read_schema(concerts, {("singer", "name"): "singer full name"}),
        "How many singers\nare from France?",
        DDL,
        [Match("singer", "song release", ("1992", "it's"))],
        "France is\n a country",
    )
    assert text == (
        "Database schema:\n"
        "\n"
        "CREATE TABLE singer (\n"
        "    singer_id int PRIMARY KEY, -- example: [1, 2]\n"
        "    Name text, -- singer full name, example: ['Joe Sharp', 'Timbaland']\n"
        "    Country text, -- example: ['Netherlands', 'France']\n"
        "    \"song release\" text, -- example: ['1992', '2008']\n"
        "    bio blob\n"
        ");\n"
        "\n"
        "CREATE TABLE concert (\n"
        "    concert_id int, -- example: [1, 2]\n"
        "    singer_id int, -- example: [1, 2]\n"
        "    \"order\" text, -- example: ['first', 'second']\n"
        "    FOREIGN KEY (singer_id) REFERENCES singer (singer_id)\n"
        ");\n"
        "\n"
        "CREATE TABLE venue (\n"
        "    venue_id int,\n"
        "    city text\n"
        ");\n"
        "\n"
        "Contents that the question mentions:\n"
        "singer.\"song release\": '1992', 'it''s'\n"
        "External knowledge: France is a country\n"
        "Question: How many singers are from France?\n"
    )


def test_sqlite_reads_the_same_schema(concerts, build_database):
    odd = build_database(
        """
        CREATE TABLE "Order" ("a-b" INTEGER, c REAL, "select" VARCHAR(20), "q""uote" text, PRIMARY KEY ("a-b", c));
        CREATE TABLE part (id INTEGER PRIMARY KEY, one INTEGER, two REAL,
            FOREIGN KEY (one, two) REFERENCES "Order" ("a-b", c));
        INSERT INTO part VALUES (1, 2, 3.5);
        """,
        "odd",
    )
    for database in (concerts, odd):
        schema = read_schema(database)
        assert created(schema_text(schema, DDL)) == without_values(schema)


def test_comments_stay_on_their_line():
    column = Column("a", "int", comment="first\nCREATE TABLE b (x);", values=("1\n2",))
    schema = Schema((Table("t", (replace(column, values=()),)),))
    assert created(schema_text(schema, DDL)) == without_values(schema)


def test_parts_that_are_not_asked_for_are_left_out(concerts):
    style = PromptStyle(details=False, values=False, keys=False, matches=False, form="ddl")
    text = prompt_text(read_schema(concerts), "How many?", style, [Match("singer", "Name", ("x",))])
    assert "CREATE TABLE venue (\n    venue_id,\n    city\n);\n\nQuestion: How many?\n" in text
    assert "--" not in text
    assert "KEY" not in text
