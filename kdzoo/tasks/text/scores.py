"""Scores for text: exact match and ROUGE-L."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

# Writing systems that put no space between words: each character of theirs counts as a word, as is the custom.
_WITHOUT_SPACES = (
    *("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "BOPOMOFO"),
    *("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"),
)
_LETTERS_MARKS_NUMBERS = "LMN"


def exact_match(prediction: str, target: str) -> float:
    """1.0 if both are equal up to white space, else 0.0."""
    return float(" ".join(prediction.split()) == " ".join(target.split()))


def rouge_l(prediction: str, target: str) -> float:
    """ROUGE-L F-measure (Lin 2004) over `words`, without stemming, between 0 and 1."""
    return float(_scorer().score(target, prediction)["rougeL"].fmeasure)


def words(text: str) -> list[str]:
    """The words of a text in any script: letters, marks and digits that stand together, upper and lower case alike.

    Texts that Unicode holds for compatible (NFKC) have the same words; accents count. Of ASCII texts these are
    rouge_score's own words, which would drop all other characters.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    found: list[str] = []
    joined = ""  # the kinds of characters that belong to the word so far
    for character in folded:
        kind = unicodedata.category(character)[0]
        if kind not in _LETTERS_MARKS_NUMBERS:
            joined = ""
            continue
        alone = kind == "L" and unicodedata.name(character, "").startswith(_WITHOUT_SPACES)
        if kind in joined and not alone:
            found[-1] += character
        else:
            found.append(character)
            joined = "M" if alone else _LETTERS_MARKS_NUMBERS
    return found


class _Words:
    """`words` as rouge_score takes them."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=_Words())
