"""Exact match and ROUGE-L."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from kdzoo.tasks.text.scores import exact_match, rouge_l, words


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


sentences = st.lists(st.sampled_from(["police", "killed", "the", "gunman", "a"]), max_size=8)


@settings(deadline=None)
@given(sentences, sentences)
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


ascii_text = st.lists(
    st.sampled_from(["the", "The", " ", "_", "gunman's", "killed,", "3.5", "\n", "$", "a-b", "x"]),
    max_size=12,
)


@settings(deadline=None)
@given(ascii_text, ascii_text)
def test_of_ascii_texts_it_is_rouge_score_s_own(prediction, target):
    prediction, target = "".join(prediction), "".join(target)
    theirs = RougeScorer(["rougeL"]).score(target, prediction)["rougeL"].fmeasure
    assert rouge_l(prediction, target) == theirs


@settings(deadline=None)
@given(st.text(st.characters(codec="ascii"), max_size=30), st.text(st.characters(codec="ascii"), max_size=30))
def test_of_any_ascii_it_is_too(prediction, target):
    assert rouge_l(prediction, target) == RougeScorer(["rougeL"]).score(target, prediction)["rougeL"].fmeasure


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Сколько певцов? Ёлка", ["сколько", "певцов", "ёлка"]),
        ("Πόσοι τραγουδιστές;", ["πόσοι", "τραγουδιστέσ"]),  # case folding has one sigma
        ("naïve café", ["naïve", "café"]),
        ("nai\u0308ve", ["naïve"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("كم عدد المغنين؟", ["كم", "عدد", "المغنين"]),
        ("가수는 몇 명?", ["가수는", "몇", "명"]),
        ("有多少SQL歌手？", ["有", "多", "少", "sql", "歌", "手"]),
        ("歌手は3人、ガ", ["歌", "手", "は", "3", "人", "ガ"]),
        ("ｶﾞ ＡＢＣ", ["ガ", "abc"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("²x_y", ["2x", "y"]),
        ("…—!", []),
    ],
)
def test_words_of_every_script(text, expected):
    assert words(text) == expected


def test_texts_that_are_not_latin_have_a_score():
    assert rouge_l("сколько певцов во Франции", "Сколько певцов в Испании?") == pytest.approx(0.5)
    assert rouge_l("有多少歌手", "有多少人") == pytest.approx(f_measure(list("有多少歌手"), list("有多少人")))
    assert rouge_l("歌手", "画家") == 0.0


def test_accents_count():
    assert rouge_l("nave ve", "naïve") == 0.0
    assert rouge_l("naïve", "naïve") == 1.0
    assert rouge_l("cafe", "café") == 0.0
