"""The table that a run ends with."""

from __future__ import annotations

import re
from io import StringIO

from rich.console import Console

from kdzoo.report.table import ModelRow, heading, model_table, print_table, score_text

TEACHER = ModelRow("teacher", 1_098_880, {"ex": 0.9}, 120.4)
SFT = ModelRow("sft", 170_736, {"ex": 0.5}, 40.0, is_baseline=True)
KID = ModelRow("kid", 170_736, {"ex": 2 / 3}, 60.0)


def lines(*rows: ModelRow, **settings: object) -> list[list[str]]:
    """The printed table, cell by cell."""
    output = StringIO()
    print_table(Console(file=output, **settings), model_table(rows))  # type: ignore[arg-type]
    return [re.split(r"  +", line.strip()) for line in output.getvalue().splitlines()]


def test_models_stand_side_by_side_with_what_they_cost() -> None:
    assert lines(TEACHER, SFT, KID) == [
        ["model", "parameters", "EX", "training", "relative to SFT"],
        ["teacher", "1,098,880", "90.0%", "120 s", "3.01"],
        ["sft", "170,736", "50.0%", "40 s", "1.00"],
        ["kid", "170,736", "66.7%", "60 s", "1.50"],
    ]


def test_without_a_baseline_there_is_nothing_to_be_relative_to() -> None:
    assert [row[-1] for row in lines(TEACHER, KID)[1:]] == ["-", "-"]


def test_a_model_that_was_not_trained_here_took_no_time() -> None:
    untrained = ModelRow("student", 10, {"ex": 0.0}, None)
    assert lines(untrained, SFT)[1] == ["student", "10", "0.0%", "-", "-"]


def test_short_times_have_a_decimal() -> None:
    row = ModelRow("sft", 10, {}, 4.26, is_baseline=True)
    assert lines(row)[1][-2:] == ["4.3 s", "1.00"]


def test_every_metric_has_a_column_and_one_that_was_not_measured_a_dash() -> None:
    other = ModelRow("kid", 10, {"ts": 0.25, "exaccerr": -3.14}, 60.0)
    assert lines(SFT, other) == [
        ["model", "parameters", "EX", "TS", "ExAccErr", "training", "relative to SFT"],
        ["sft", "170,736", "50.0%", "-", "-", "40 s", "1.00"],
        ["kid", "10", "-", "25.0%", "-3.1%", "60 s", "1.50"],
    ]


def test_a_title_stands_above_and_is_not_broken_into_lines() -> None:
    output = StringIO()
    title = "rehearsal: scores of tiny random models"
    print_table(Console(file=output), model_table([ModelRow("kid", 1, {"ex": 0.5}, None)], title))
    assert output.getvalue().splitlines()[0].rstrip() == title


def test_headings_are_the_field_s_names() -> None:
    assert [heading(m) for m in ("ex", "ts", "exaccerr", "exact_match", "rouge_l")] == [
        "EX",
        "TS",
        "ExAccErr",
        "exact match",
        "ROUGE-L",
    ]


def test_scores_are_percentages_and_exaccerr_is_one_already() -> None:
    assert score_text("ex", 0.8123) == "81.2%"
    assert score_text("exaccerr", 81.23) == "81.2%"
    assert score_text("ex", None) == "-"


def test_where_there_is_no_terminal_nothing_is_cut() -> None:
    long = ModelRow("a" * 100, 10, {"ex": 0.5, "ts": 0.5}, 60.0)
    assert lines(long, width=40)[1][0] == "a" * 100
