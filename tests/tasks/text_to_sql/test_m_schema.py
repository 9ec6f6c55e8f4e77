"""M-Schema, letter by letter."""

import pytest

from kdzoo.tasks.text_to_sql.prompt import prompt_text, schema_text
from kdzoo.tasks.text_to_sql.prompt_style import Match, PromptStyle
from kdzoo.tasks.text_to_sql.schema import read_schema

M_SCHEMA = PromptStyle(form="m_schema")


def test_the_whole_prompt(concerts):
    text = prompt_text(
        read_schema(concerts, {("singer", "name"): "singer full name"}),
        "How many singers\nare from France?",
        M_SCHEMA,
        [Match("singer", "Country", ("France",))],
        "France is\n a country",
        "concerts",
    )
    assert text == (
        "【DB_ID】 concerts\n"
        "【Schema】\n"
        "# Table: singer\n"
        "[\n"
        "(singer_id:INT, Primary Key, Examples: [1, 2]),\n"
        "(Name:TEXT, singer full name, Examples: [Joe Sharp, Timbaland]),\n"
        "(Country:TEXT, Examples: [Netherlands, France]),\n"
        "(song release:TEXT, Examples: [1992, 2008]),\n"
        "(bio:BLOB)\n"
        "]\n"
        "# Table: concert\n"
        "[\n"
        "(concert_id:INT, Examples: [1, 2]),\n"
        "(singer_id:INT, Examples: [1, 2]),\n"
        "(order:TEXT, Examples: [first, second])\n"
        "]\n"
        "# Table: venue\n"
        "[\n"
        "(venue_id:INT),\n"
        "(city:TEXT)\n"
        "]\n"
        "【Foreign keys】\n"
        "concert.singer_id=singer.singer_id\n"
        "\n"
        "【Matched contents】\n"
        "singer.Country: France\n"
        "\n"
        "【Question】\n"
        "How many singers are from France?\n"
        "\n"
        "【Evidence】\n"
        "France is a country\n"
    )


def test_parts_that_are_not_asked_for_are_left_out(concerts):
    style = PromptStyle(details=False, values=False, keys=False, matches=False, form="m_schema")
    text = prompt_text(read_schema(concerts), "How many?", style, [Match("singer", "Name", ("x",))])
    assert text.endswith("# Table: venue\n[\n(venue_id),\n(city)\n]\n\n【Question】\nHow many?\n")


@pytest.mark.parametrize("form", ["codes", "ddl", "m_schema"])
def test_all_questions_on_a_database_begin_alike(concerts, form):
    schema, style = read_schema(concerts), PromptStyle(form=form)
    beginning = schema_text(schema, style, "db")
    asked = [("a?", (), ""), ("b?", (Match("singer", "Name", ("x",)),), "y")]
    for question, matches, evidence in asked:
        text = prompt_text(schema, question, style, matches, evidence, "db")
        assert text.startswith(beginning)
