"""The prompt's text, letter by letter."""

import pytest

from kdzoo.tasks.sql.schema import Column, ForeignKey, Schema, Table
from kdzoo.tasks.text_to_sql.prompt import prompt_text, schema_text
from kdzoo.tasks.text_to_sql.prompt_style import Match, PromptStyle
from kdzoo.tasks.text_to_sql.schema import read_schema


def column_text(name, style=None, **parts):
    """How one column is written."""
    schema = Schema((Table("t", (Column(name, "int", **parts),)),))
    line = schema_text(schema, style or PromptStyle()).splitlines()[1]
    return line.removeprefix("table t , columns = [ ").removesuffix(" ]")


def test_the_whole_prompt(concerts):
    schema = read_schema(concerts, {("singer", "name"): "singer full name", ("singer", "country"): "country"})
    text = prompt_text(
        schema,
        "How many singers\nare from France?",
        matches=[Match("singer", "Country", ("France",)), Match("venue", "city", ("Paris", "Rennes"))],
        evidence="France is\n a country",
    )
    assert text == (
        "database schema :\n"
        "table singer , columns = [ singer.singer_id ( int | primary key | values : 1 , 2 ) , "
        "singer.name ( text | comment : singer full name | values : Joe Sharp , Timbaland ) , "
        "singer.country ( text | values : Netherlands , France ) , "
        "singer.`song release` ( text | values : 1992 , 2008 ) , "
        "singer.bio ( blob ) ]\n"
        "table concert , columns = [ concert.concert_id ( int | values : 1 , 2 ) , "
        "concert.singer_id ( int | values : 1 , 2 ) , concert.order ( text | values : first , second ) ]\n"
        "table venue , columns = [ venue.venue_id ( int ) , venue.city ( text ) ]\n"
        "foreign keys :\n"
        "concert.singer_id = singer.singer_id\n"
        "matched contents :\n"
        "singer.country ( France )\n"
        "venue.city ( Paris , Rennes )\n"
        "France is a country\n"
        "How many singers are from France?\n"
    )


def test_what_is_not_there_is_none(concerts):
    schema = Schema(read_schema(concerts).tables, ())
    lines = prompt_text(schema, "How many?").splitlines()
    assert lines[-3:] == ["foreign keys : None", "matched contents : None", "How many?"]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Name", "t.name"),
        ("song release", "t.`song release`"),
        ("Free Meal Count (K-12)", "t.`free meal count (k-12)`"),
        ("a-b", "t.`a-b`"),
        ("a/b", "t.`a/b`"),
        ("a)", "t.`a)`"),
        ("%used", "t.%used"),
        ("order", "t.order"),
        ("Größe", "t.größe"),
    ],
)
def test_names_in_lower_case_and_in_backticks_where_needed(name, written):
    assert column_text(name) == f"{written} ( int )"


def test_tables_and_keys_are_named_alike():
    column = Column("a b", "int")
    schema = Schema(
        (Table("My Table", (column,)), Table("x", (column,))),
        (ForeignKey("x", ("a b",), "My Table", ("a b",)),),
    )
    assert schema_text(schema).splitlines() == [
        "database schema :",
        "table `my table` , columns = [ `my table`.`a b` ( int ) ]",
        "table x , columns = [ x.`a b` ( int ) ]",
        "foreign keys :",
        "x.`a b` = `my table`.`a b`",
    ]


@pytest.mark.parametrize(
    ("name", "comment", "shown"),
    [
        ("stuId", "student id", True),
        ("Student_ID", "student id", False),
        ("studentid", "Student ID", False),
        ("name", "", False),
        ("name", "  ", False),
        ("name", "names", True),
    ],
)
def test_a_comment_is_left_out_where_it_repeats_the_name(name, comment, shown):
    assert ("comment :" in column_text(name, comment=comment)) is shown


def test_a_comment_is_one_line_in_lower_case():
    assert column_text("x", comment="The\nFull  Name") == "t.x ( int | comment : the full name )"


def test_all_questions_on_a_database_begin_with_its_schema(concerts):
    schema = read_schema(concerts)
    asked = [
        ("a?", (), ""),
        ("b?", [Match("venue", "city", ("x",))], ""),
        ("c?", [Match("venue", "city", ("x",))], "c is a letter"),
    ]
    texts = [prompt_text(schema, q, matches=m, evidence=e) for q, m, e in asked]
    beginning = schema_text(schema)
    assert all(text.startswith(beginning) for text in texts)
    assert [text.removeprefix(beginning).splitlines()[-1] for text in texts] == ["a?", "b?", "c?"]


def test_a_compact_prompt_has_names_only(concerts):
    style = PromptStyle(details=False, values=False, keys=False, matches=False)
    assert prompt_text(read_schema(concerts), "How many?", style) == (
        "database schema :\n"
        "table singer , columns = [ singer.singer_id , singer.name , singer.country , "
        "singer.`song release` , singer.bio ]\n"
        "table concert , columns = [ concert.concert_id , concert.singer_id , concert.order ]\n"
        "table venue , columns = [ venue.venue_id , venue.city ]\n"
        "How many?\n"
    )


def test_values_can_be_left_out():
    without = PromptStyle(values=False)
    assert column_text("x", without, values=("1", "2"), primary_key=True) == "t.x ( int | primary key )"
    without = PromptStyle(details=False)
    assert column_text("x", without, values=("1", "2"), primary_key=True) == "t.x ( values : 1 , 2 )"
