"""Scores for text: exact match and ROUGE-L."""

from __future__ import annotations

from functools import cache
from typing import Any


def exact_match(prediction: str, target: str) -> float:
    """1.0 if both are equal up to white space, else 0.0."""
    return float(" ".join(prediction.split()) == " ".join(target.split()))


def rouge_l(prediction: str, target: str) -> float:
    """ROUGE-L F-measure (Lin 2004) without stemming, between 0 and 1."""
    return float(_scorer().score(target, prediction)["rougeL"].fmeasure)


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"])
