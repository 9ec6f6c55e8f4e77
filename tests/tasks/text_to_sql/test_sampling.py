"""Samples that are the same everywhere."""

from collections import Counter
from pathlib import Path

import pytest

from kdzoo.tasks.text_to_sql.questions import Question
from kdzoo.tasks.text_to_sql.sampling import rank, sample

QUESTIONS = [Question(f"q-{n}", "d", f"What is {n}?", "SELECT 1", Path("d.sqlite")) for n in range(200)]


def test_a_sample_keeps_the_order_and_grows_by_adding():
    small, large = (sample(QUESTIONS, most, 3) for most in (20, 50))
    assert len(small) == 20
    assert [q for q in QUESTIONS if q in small] == small
    assert set(small) < set(large)


def test_all_if_no_more_are_there():
    assert sample(QUESTIONS, None, 0) == sample(QUESTIONS, 200, 0) == sample(QUESTIONS, 999, 0) == QUESTIONS


def test_another_seed_chooses_others_and_the_order_of_all_does_not_matter():
    assert sample(QUESTIONS, 20, 0) != sample(QUESTIONS, 20, 1)
    assert set(sample(QUESTIONS[::-1], 20, 0)) == set(sample(QUESTIONS, 20, 0))


def test_every_question_is_as_likely_as_any_other():
    counts = Counter(q.id for seed in range(200) for q in sample(QUESTIONS, 50, seed))
    assert counts.total() == 50 * 200
    # 200 draws of probability 1/4: the standard deviation is 6.1
    assert all(abs(counts[q.id] - 50) < 5 * 6.2 for q in QUESTIONS)


def test_the_same_on_every_machine():
    # the beginning of SHA-256 of "1", the unit separator and "a", by another program
    assert rank(1, "a").hex()[:16] == "aaa8be88bd4afa32"
    assert rank("ab", "c") != rank("a", "bc")


@pytest.mark.parametrize("most", [1, 7])
def test_exactly_as_many_as_wanted(most):
    assert len(sample(QUESTIONS, most, 0)) == most
