"""Prompts that are too long lose what their question needs least."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.tasks.example import Example
from kdzoo.tasks.fitting import fit
from kdzoo.tasks.sql.schema import Column, ForeignKey, Schema, Table
from kdzoo.tasks.text_to_sql.prompt import schema_text
from kdzoo.tasks.text_to_sql.prompt_style import FULL, Match
from kdzoo.tasks.text_to_sql.questions import Question
from kdzoo.tasks.text_to_sql.schema import read_schema
from kdzoo.tasks.text_to_sql.shorten import SqlPrompt

QUESTION = "In which cities are there venues?"


@pytest.fixture
def make(concerts):
    """Make the example of one question on the concerts."""

    def give(question=QUESTION, sql="SELECT country FROM singer", matches=(), evidence=""):
        asked = Question("q", "concerts", question, sql, concerts, evidence)
        prompt = SqlPrompt(read_schema(concerts), asked, FULL, tuple(matches))
        full = prompt.shortened(lambda text: True, False)
        return Example("q", full, sql, question, "concerts", concerts, shorten=prompt.shortened)

    return give


def shortened(example, limit, training):
    (short,) = fit([example], limit, len, training=training)
    return short.prompt


@pytest.mark.parametrize("limit", [150, 250, 400, 600])
def test_in_evaluation_what_is_related_to_the_question_stays(make, limit):
    prompt = shortened(make(), limit, training=False)
    assert len(prompt) <= limit
    assert "venue.city" in prompt
    assert prompt.endswith(f"\n{QUESTION}\n")


@pytest.mark.parametrize("limit", [1, 150, 250, 400, 600])
def test_in_training_what_the_gold_query_uses_stays_too(make, limit):
    sql = 'SELECT country FROM singer JOIN concert USING (singer_id) WHERE "order" = 1'
    prompt = shortened(make(sql=sql), limit, training=True)
    for column in ("singer.country", "singer.singer_id", "concert.singer_id", "concert.order"):
        assert f" {column} (" in prompt
    # the key between columns that stay stays with them
    assert "concert.singer_id = singer.singer_id" in prompt
    assert prompt.endswith(f"\n{QUESTION}\n")


def test_tables_keys_and_contents_go_with_their_columns(make):
    matches = [Match("singer", "Country", ("France",)), Match("venue", "city", ("Paris",))]
    prompt = shortened(make("Is there a venue in the city of Paris?", matches=matches), 190, training=False)
    assert prompt.splitlines() == [
        "database schema :",
        "table venue , columns = [ venue.venue_id ( int ) , venue.city ( text ) ]",
        "foreign keys : None",
        "matched contents :",
        "venue.city ( Paris )",
        "Is there a venue in the city of Paris?",
    ]


def test_of_columns_that_are_related_alike_the_keys_stay(make):
    limit = len(make("Names of something else entirely?").prompt)
    for less in range(0, limit, 20):
        prompt = shortened(make("Names of something else entirely?"), limit - less, training=False)
        if "singer.bio" in prompt:
            assert "singer.singer_id" in prompt


def test_the_evidence_stays_and_says_what_is_related(make):
    example = make("Where?", evidence="where refers to the city of the venue")
    prompt = shortened(example, 200, training=False)
    assert "where refers to the city of the venue\nWhere?\n" in prompt
    assert "venue.city" in prompt


def test_a_limit_that_is_too_small_for_anything_leaves_one_column(make):
    prompt = shortened(make(), 1, training=False)
    assert sum(line.startswith("table ") for line in prompt.splitlines()) == 1
    assert prompt.endswith(f"{QUESTION}\n")


words = st.sampled_from(["name", "city", "year", "age", "country", "code", "title", "note"])


@st.composite
def schemas(draw):
    tables = tuple(
        Table(
            f"{draw(words)}{number}",
            tuple(
                Column(name, "text") for name in draw(st.lists(words, min_size=1, max_size=8, unique=True))
            ),
        )
        for number in range(draw(st.integers(1, 5)))
    )
    ends = [(t.name, c.name) for t in tables for c in t.columns]
    keys = draw(st.lists(st.tuples(st.sampled_from(ends), st.sampled_from(ends)), max_size=3))
    return Schema(tables, tuple(ForeignKey(t, (c,), other, (o,)) for (t, c), (other, o) in keys))


@settings(deadline=None, max_examples=60)
@given(schema=schemas(), asked=st.lists(words, max_size=4), limit=st.integers(0, 1500))
def test_a_shortened_prompt_is_as_long_as_it_may_be(tmp_path_factory, schema, asked, limit):
    question = Question("q", "d", " ".join(asked) + "?", "SELECT 1", tmp_path_factory.getbasetemp())
    tried = []

    def fits(text):
        tried.append(text)
        return len(text) <= limit

    full = schema_text(schema)
    prompt = SqlPrompt(schema, question, FULL, ()).shortened(fits, False)
    kept = prompt.count("( text )")
    assert 1 <= kept <= full.count("( text )")
    assert len(prompt) <= limit or kept == 1
    # one column more was tried, and did not fit
    assert kept == full.count("( text )") or any(
        t.count("( text )") == kept + 1 and len(t) > limit for t in tried
    )
    # order and names are the schema's
    remaining = iter(full.split())
    assert all(word in remaining for word in prompt.split("foreign keys")[0].split() if word not in ",]")
