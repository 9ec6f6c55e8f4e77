"""Exact match and ROUGE-L."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.data.text_scores import exact_match, rouge_l


@pytest.mark.parametrize(
    ("prediction", "target", "score"),
    [("a b", "a b", 1.0), (" a\n b ", "a b", 1.0), ("A b", "a b", 0.0), ("", "", 1.0), ("a", "", 0.0)],
)
def test_exact_match(prediction, target, score):
    assert exact_match(prediction, target) == score


def f_measure(prediction, target):
    """ROUGE-L by its definition: the longest common subsequence of words, harmonic mean of both shares."""
    longest = [[0] * (len(target) + 1) for _ in range(len(prediction) + 1)]
    for i, one in enumerate(prediction):
        for j, other in enumerate(target):
            longest[i + 1][j + 1] = (
                longest[i][j] + 1 if one == other else max(longest[i][j + 1], longest[i + 1][j])
            )
    common = longest[-1][-1]
    if not common:
        return 0.0
    precision, recall = common / len(prediction), common / len(target)
    return 2 * precision * recall / (precision + recall)


words = st.lists(st.sampled_from(["police", "killed", "the", "gunman", "a"]), max_size=8)


@settings(deadline=None)
@given(words, words)
def test_rouge_l_by_its_definition(prediction, target):
    assert rouge_l(" ".join(prediction), " ".join(target)) == pytest.approx(f_measure(prediction, target))


def test_the_example_of_lin_2004():
    # precision 3/4 and recall 3/4 with "police kill the gunman"; the other sentence shares two words
    target = "police killed the gunman"
    assert rouge_l("police kill the gunman", target) == pytest.approx(0.75)
    assert rouge_l("the gunman kill police", target) == pytest.approx(0.5)


def test_case_and_punctuation_do_not_matter_but_endings_do():
    assert rouge_l("Police, killed!", "police killed") == 1.0
    assert rouge_l("kills", "killed") == 0.0
