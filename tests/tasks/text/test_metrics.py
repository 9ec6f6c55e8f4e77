"""The metrics on text are the means of their scores, which stand beside the predictions."""

import pytest

from kdzoo.tasks import registry
from kdzoo.tasks.example import Example, Splits
from kdzoo.tasks.metric import Answers


@pytest.mark.parametrize(
    ("name", "values"),
    [("exact_match", [1.0, 0.0, 0.0]), ("rouge_l", [1.0, 2 * (1 / 2 * 1 / 3) / (1 / 2 + 1 / 3), 0.0])],
)
def test_each_is_a_mean(name, values):
    examples = [Example(str(n), "?", target) for n, target in enumerate(["a b", "b c d", "e"])]
    answers = Answers(
        Splits([], examples), examples, ["a  b", "c a", ""], settings=None, say=None, track=None
    )
    measured = registry.metrics.find(name).measure(answers)
    assert [line[name] for line in measured.lines] == pytest.approx(values)
    assert measured.score == pytest.approx(sum(values) / 3)
    assert measured.details is None


def test_of_nothing_the_score_is_0():
    answers = Answers(Splits([], []), [], [], settings=None, say=None, track=None)
    assert registry.metrics.find("exact_match").measure(answers).score == 0.0
