"""Predictions find their questions by the names that the gold file gives them, or are refused with the place."""

import pytest

from kdzoo.errors import UserError
from kdzoo.tasks.sql.gold_file import GoldFile


def entries(*ids, key="question_id"):
    return [(f"p.jsonl:{line}", {key: id_}) for line, id_ in enumerate(ids, 1)]


GOLD = GoldFile.of(
    [{"question_id": 7, "SQL": "SELECT 7"}, {"question_id": 5, "SQL": "SELECT 5"}], ["dev-0", "dev-1"]
)


class TestOrder:
    @pytest.mark.parametrize(
        ("given", "order"),
        [((7, 5), [0, 1]), ((5, 7), [1, 0]), (("5", 7), [1, 0]), (("dev-1", "dev-0"), [1, 0])],
    )
    def test_each_question_has_the_prediction_with_its_name(self, given, order):
        assert GOLD.order_of(entries(*given)) == order

    def test_predictions_without_names_have_none(self):
        assert GOLD.order_of([("p:1", {"prediction": "a"}), ("p:2", {"prediction": "b"})]) is None

    def test_another_key_names_the_same(self):
        assert GOLD.order_of(entries(5, 7, key="id")) == [1, 0]

    def test_where_the_file_names_none_places_count(self):
        assert GoldFile(3).order_of(entries(2, 0, 1)) == [1, 2, 0]

    def test_questions_of_one_name_are_told_apart_by_their_order_alone(self):
        twice = GoldFile.of([{"id": "a"}, {"id": "a"}, {"id": "b"}], [])
        assert twice.order_of(entries("a", "a", "b", key="id")) == [0, 1, 2]
        with pytest.raises(UserError, match="several questions have the same id"):
            twice.order_of(entries("b", "a", key="id"))


class TestMistakes:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ((7, 6), 'p.jsonl:2: no question has the question_id "6" (they have "7" to "5")'),
            ((7, 7), 'p.jsonl:2: a second prediction with the question_id "7"'),
            ((7,), 'p.jsonl: has no prediction with the question_id "5"'),
            ((7, None), 'p.jsonl:2: has no "question_id" (a number or text)'),
            ((7, True), 'p.jsonl:2: has no "question_id"'),
            ((7, 5.0), 'p.jsonl:2: has no "question_id"'),
        ],
    )
    def test_are_told_with_their_place(self, given, words):
        with pytest.raises(UserError) as caught:
            GOLD.order_of(entries(*given))
        assert words in str(caught.value)


def test_a_name_counts_where_all_questions_have_one():
    assert GoldFile.of([{"question_id": 1}, {"question_id": None}], []).ids == {}
    assert GoldFile.of([{"id": 1}, {"id": "x"}], []).ids == {"id": ["1", "x"]}


def test_keys_that_hold_text_are_known_in_lower_case():
    assert GOLD.text_keys == {"sql"}
    assert GOLD.count == 2
