"""Ranking short texts by BM25."""

import math

import pytest

from kdzoo.tasks.text_to_sql.text_index import TextIndex

TEXTS = ["singer name", "singer country country", "stadium name and its capacity", "concert", "a year"]


def bm25(texts, words, k1=1.2, b=0.75):
    """Robertson's formula, with SQLite's floor on how rare a word can count."""
    documents = [text.split() for text in texts]
    mean = sum(map(len, documents)) / len(documents)
    scores = {}
    for number, document in enumerate(documents):
        score = 0.0
        for word in words:
            count = document.count(word)
            holding = sum(word in other for other in documents)
            rarity = max(1e-6, math.log((len(documents) - holding + 0.5) / (holding + 0.5)))
            score += rarity * count * (k1 + 1) / (count + k1 * (1 - b + b * len(document) / mean))
        if score:
            scores[number] = score
    return scores


@pytest.mark.parametrize(
    "words", [["country"], ["singer", "country"], ["name", "capacity"], ["name", "year"]]
)
def test_scores_are_those_of_the_formula(words):
    with TextIndex() as index:
        index.add(TEXTS)
        found = dict(index.search(" ".join(words), 10))
    assert found == pytest.approx(bm25(TEXTS, words), rel=1e-6)


def test_the_best_come_first_and_no_more_than_wanted():
    with TextIndex() as index:
        index.add(TEXTS)
        assert [number for number, _ in index.search("Which country is the singer from?", 10)] == [1, 0]
        assert [number for number, _ in index.search("Which country is the singer from?", 1)] == [1]


def test_forms_of_a_word_and_accents_do_not_matter():
    with TextIndex() as index:
        index.add(["singers", "sao paulo"])
        assert [number for number, _ in index.search("singer", 5)] == [0]
        assert [number for number, _ in index.search("São", 5)] == [1]


def test_words_that_stand_in_any_question_find_nothing():
    with TextIndex() as index:
        index.add(["how many of the", "a"])
        assert index.search("How many of the?", 5) == []
        assert index.search("", 5) == []
