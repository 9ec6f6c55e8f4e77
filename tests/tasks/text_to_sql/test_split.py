"""Holding out questions of the same databases without a leak."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.tasks.text_to_sql.questions import Question
from kdzoo.tasks.text_to_sql.split import normal_query, split_by_query


def question(number, text, sql, db_id="a"):
    return Question(f"train-{number}", db_id, text, sql, Path("a.sqlite"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("SELECT  Name FROM T", "select name from t;", True),
        ("SELECT count( * ) FROM t", "SELECT count(*) FROM t", True),
        ("SELECT a FROM t WHERE b = 'X'", 'SELECT a FROM t WHERE b="X"', True),
        ("SELECT a FROM t WHERE b = 'X'", "SELECT a FROM t WHERE b = 'x'", False),
        ("SELECT a FROM t WHERE b = 'X  Y'", "SELECT a FROM t WHERE b = 'X Y'", False),
        ("SELECT a FROM t", "SELECT b FROM t", False),
    ],
)
def test_queries_that_differ_in_writing_only_are_one(one, other, same):
    assert (normal_query(one) == normal_query(other)) is same


few = st.integers(0, 6)
many_questions = st.lists(st.tuples(few, few, st.sampled_from("ab"), st.booleans()), max_size=60).map(
    lambda drawn: [
        question(n, f"What is {q}?" if loud else f"what is  {q}", f"SELECT {s} FROM t" + ";" * loud, db)
        for n, (q, s, db, loud) in enumerate(drawn)
    ]
)


def words(one):
    return one.text.lower().replace("?", "").split()


@settings(deadline=None)
@given(many_questions, st.floats(0.05, 0.95), st.integers(0, 5))
def test_no_query_and_no_wording_is_on_both_sides(questions, held_out, seed):
    kept, held = split_by_query(questions, held_out, seed)
    assert sorted(q.id for q in kept + held) == sorted(q.id for q in questions)
    assert len(held) <= round(held_out * len(questions))
    for one in kept:
        for other in held:
            if one.db_id == other.db_id:
                assert normal_query(one.sql) != normal_query(other.sql)
                assert words(one) != words(other)


@settings(deadline=None)
@given(many_questions, st.randoms(use_true_random=False))
def test_the_choice_depends_on_the_questions_and_not_on_their_order(questions, source):
    _, held = split_by_query(questions, 0.4, 1)
    shuffled = list(questions)
    source.shuffle(shuffled)
    _, held_again = split_by_query(shuffled, 0.4, 1)
    chosen = {(q.db_id, normal_query(q.sql), *words(q)) for q in held}
    assert chosen == {(q.db_id, normal_query(q.sql), *words(q)) for q in held_again}


def test_the_fraction_is_met_where_questions_are_different():
    questions = [question(n, f"What is {n}?", f"SELECT {n}") for n in range(1000)]
    kept, held = split_by_query(questions, 0.1, 0)
    assert (len(kept), len(held)) == (900, 100)
    assert [q.id for q in kept] == [q.id for q in questions if q in kept]
    assert {q.id for q in held} != {q.id for q in split_by_query(questions, 0.1, 1)[1]}
