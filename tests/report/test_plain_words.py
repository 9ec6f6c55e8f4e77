"""What tests say, in plain words."""

from __future__ import annotations

from typing import Any

import pytest
from made_runs import EVALUATE, KID, SFT, MadeRun, ex

from kdzoo.report.comparison import Difference
from kdzoo.report.plain_words import how_tested, p_values, said_of_tests, verdict
from kdzoo.report.statistics import PairedTest


def difference(value: float, p: float, corrected: float | None = None) -> Difference:
    return Difference(value, 10, PairedTest("a test", p), p if corrected is None else corrected)


def test_a_difference_is_one_sentence(compared: Any) -> None:
    found = compared(MadeRun([SFT, KID, EVALUATE], ex(sft=[0.0] * 10, kid=[1.0] * 8 + [0.0] * 2)))
    assert list(said_of_tests(found)) == [
        "kid against sft, EX: +80.0 points on 10 questions: better by more than chance (p = 0.008; McNemar's exact test)"
    ]


def test_what_is_compared_with_is_named(compared: Any) -> None:
    answers = ex(sft=[0.0] * 10, kid=[1.0] * 8 + [0.0] * 2)
    found = compared(MadeRun([SFT, KID, EVALUATE], answers), against="kid")
    assert "Differences from kid are tested" in how_tested(found)
    (said,) = said_of_tests(found)
    assert said.startswith("sft against kid, EX: -80.0 points on 10 questions: worse by more than chance")


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (difference(0.1, 0.01), "better by more than chance"),
        (difference(-0.1, 0.01), "worse by more than chance"),
        (difference(0.1, 0.01, 0.06), "may be chance"),
    ],
)
def test_the_corrected_p_value_decides(of: Difference, said: str) -> None:
    assert verdict(of) == said


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (difference(0.1, 0.25), "p = 0.25"),
        (difference(0.1, 0.01234, 0.4321), "p = 0.012, corrected = 0.43"),
        (difference(0.1, 0.00001, 0.0004), "p < 0.001, corrected < 0.001"),
    ],
)
def test_p_values_have_as_many_digits_as_they_need(of: Difference, said: str) -> None:
    assert p_values(of) == said


def test_it_is_told_what_intervals_are_over_and_what_is_corrected_for(compared: Any) -> None:
    one = how_tested(compared(MadeRun([SFT, EVALUATE], ex(sft=[1, 0]))))
    assert one == "Scores with 95% intervals over questions."


def test_so_it_is_of_several_seeds_and_comparisons(compared: Any) -> None:
    rkd = 'kind = "distill"\nmethod = "rkd"'
    stages = [SFT, KID, rkd, EVALUATE]
    several = how_tested(
        compared(*(MadeRun(stages, ex(sft=[1, 0], kid=[1, 1], rkd=[0, 1]), seed=n) for n in (0, 1)))
    )
    assert "over questions and seeds" in several
    assert "2 comparisons, corrected by Holm's method." in several
