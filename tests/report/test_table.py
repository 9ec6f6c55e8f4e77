"""The table that a run ends with and that comparing runs prints."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import EVALUATE, FINETUNE, KID, SFT, MadeRun, ex
from rich.console import Console

from kdzoo.report.comparison import compare
from kdzoo.report.runs_read import read_runs
from kdzoo.report.statistics import mean_interval
from kdzoo.report.table import (
    comparison_table,
    difference_text,
    heading,
    interval_text,
    memory_text,
    print_table,
    score_text,
    seconds_text,
)

STAGES = [FINETUNE, SFT, KID, EVALUATE]


@pytest.fixture
def lines(tmp_path: Path) -> Any:
    def lines(*runs: MadeRun, title: str | None = None, **settings: Any) -> list[list[str]]:
        """The printed table, cell by cell."""
        comparison = compare(read_runs([run.write(tmp_path / f"run-{n}") for n, run in enumerate(runs)]))
        output = StringIO()
        print_table(Console(file=output, **settings), comparison_table(comparison, title))
        text = output.getvalue().replace("\u00a0", "~")
        return [re.split(r"  +", line.strip()) for line in text.splitlines()]

    return lines


def test_models_stand_side_by_side_with_what_they_cost(lines: Any) -> None:
    results = {
        "finetune": {"training_seconds": 120.4, "step_seconds": 0.4, "peak_memory_bytes": 3 << 30},
        "sft": {"training_seconds": 40.0, "step_seconds": 0.2, "peak_memory_bytes": 1 << 30},
        "kid": {"training_seconds": 9.0, "step_seconds": 0.3, "preparing_seconds": 2.5},
    }
    assert lines(MadeRun(STAGES, ex(teacher=[1, 1], sft=[1, 0], kid=[1, 0]), results)) == [
        ["model", "parameters", "EX", "training", "preparing", "step", "relative to SFT", "peak memory"],
        ["teacher", "1,000", "100.0% [34.2,~100.0]", "120 s", "-", "400 ms", "2.00", "3.0 GiB"],
        ["sft", "1,000", "50.0% [9.5,~90.5]", "40 s", "-", "200 ms", "1.00", "1.0 GiB"],
        ["kid", "1,000", "50.0% [9.5,~90.5]", "9.0 s", "2.5 s", "300 ms", "1.50", "-"],
    ]


def test_what_runs_did_not_record_has_a_dash_or_no_column(lines: Any) -> None:
    assert lines(MadeRun([SFT, EVALUATE], ex(sft=[1, 0]))) == [
        ["model", "parameters", "EX", "training", "relative to SFT"],
        ["sft", "1,000", "50.0% [9.5,~90.5]", "-", "-"],
    ]


def test_averages_of_different_scores_say_of_how_many(lines: Any) -> None:
    answers = {
        "sft": {name: {"ex": [1, 0]} for name in "ab"},
        "kid": {name: {"ex": [1, 1]} for name in "abc"},
    }
    heads, *rows = lines(MadeRun([SFT, KID, EVALUATE], answers))
    assert [row[heads.index("Avg.")] for row in rows] == ["50.0% of 2", "100.0% of 3"]


def test_several_sets_have_columns_of_their_own_and_an_average_with_its_difference(lines: Any) -> None:
    answers = {
        "sft": {"dev": {"ex": [1, 0]}, "dk": {"ex": [0, 0]}},
        "kid": {"dev": {"ex": [1, 1]}, "dk": {"ex": [0, 0]}},
    }
    assert lines(MadeRun([SFT, KID, EVALUATE], answers)) == [
        ["model", "parameters", "dev EX", "dk EX", "Avg.", "training", "relative to SFT"],
        ["sft", "1,000", "50.0% [9.5,~90.5]", "0.0% [0.0,~65.8]", "25.0%", "-", "-"],
        ["kid", "1,000", "100.0% [34.2,~100.0]", "0.0% [0.0,~65.8]", "50.0% (+25.0)", "-", "-"],
    ]


def test_metrics_of_text_have_intervals_too(lines: Any) -> None:
    head = MadeRun([]).head.replace('kind = "embedded"', 'kind = "jsonl"\ntrain = "a"\nevaluation = "b"')
    answers = {"sft": {"jsonl": {"exact_match": [1, 0], "rouge_l": [1, 0.5]}}}
    low, high = mean_interval(np.array([[1, 0.5]])) or (0, 0)
    assert lines(MadeRun([SFT, EVALUATE], answers, head=head)) == [
        ["model", "parameters", "exact match", "ROUGE-L", "Avg.", "training", "relative to SFT"],
        [
            "sft",
            "1,000",
            "50.0% [9.5,~90.5]",
            f"75.0% [{100 * low:.1f},~{100 * high:.1f}]",
            "62.5%",
            "-",
            "-",
        ],
    ]


def test_excess_errors_are_percentages_without_an_interval(lines: Any) -> None:
    found = lines(MadeRun([SFT, EVALUATE], ex(sft=[1, 0]), details={"sft": {"exaccerr": {"score": -3.14}}}))
    assert found[0][2:4] == ["EX", "ExAccErr"]
    assert found[1][3] == "-3.1%"


def test_several_seeds_are_counted(lines: Any) -> None:
    found = lines(*(MadeRun([SFT, EVALUATE], ex(sft=[1, 0]), seed=n) for n in range(3)))
    assert [row[:2] for row in found] == [["model", "seeds"], ["sft", "3"]]


def test_what_is_not_evaluated_yet_says_so(lines: Any) -> None:
    found = lines(
        MadeRun([SFT, EVALUATE], ex(sft=[1, 0])), MadeRun([KID, EVALUATE], unfinished=["kid", "evaluate"])
    )
    assert found[2] == ["kid (not evaluated yet)", "-", "-", "-", "-"]


def test_a_title_stands_above_and_is_not_broken_into_lines(lines: Any) -> None:
    title = "rehearsal: scores of tiny random models"
    assert lines(MadeRun([SFT, EVALUATE], ex(sft=[1, 0])), title=title)[0] == [title]


def test_where_there_is_no_terminal_nothing_is_cut(lines: Any) -> None:
    name = "a" * 70
    run = MadeRun([f'{SFT}\nname = "{name}"', EVALUATE], ex(**{name: [1, 0]}))
    assert lines(run, width=40)[1][0] == name


def test_many_columns_are_not_broken_into_lines_where_there_is_no_terminal(lines: Any) -> None:
    sets = {f"spider-realistic-{n}": {"ex": [1, 0]} for n in range(20)}
    head, row = lines(MadeRun([SFT, EVALUATE], {"sft": sets}))
    assert head[2:22] == [f"{name} EX" for name in sets]
    assert row[2:22] == ["50.0% [9.5,~90.5]"] * 20


def test_a_narrow_terminal_breaks_lines_and_drops_no_character(lines: Any) -> None:
    sets = {f"spider-realistic-{n}": {"ex": [1, 0]} for n in range(4)}
    found = lines(MadeRun([SFT, EVALUATE], {"sft": sets}), width=60, force_terminal=True, color_system=None)
    assert "\u2026" not in "".join(cell for row in found for cell in row)


def test_brackets_in_names_are_text_not_markup(lines: Any) -> None:
    head = MadeRun([]).head
    runs = [
        MadeRun([SFT, EVALUATE], ex(sft=[1, 0]), head=head.replace('path = "s"', f'path = "[red]{n}"'))
        for n in "ab"
    ]
    label = lines(*runs)[1][0]
    assert label.startswith("sft, student.path = ")
    assert "[red]a" in label


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
    assert interval_text("ex", (0.25, 0.5)) == "[25.0,\u00a050.0]"
    assert [difference_text("ex", d) for d in (0.012, -0.012, 0.0)] == ["+1.2", "-1.2", "+0.0"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.01234, "12.3 ms"), (4.26, "4.3 s"), (120.4, "120 s"), (0.5, "500 ms")],
)
def test_times_are_as_short_as_they_can_be_told(seconds: float | None, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(None, "-"), (300 << 20, "300 MiB"), (3 << 29, "1.5 GiB")])
def test_memory_is_in_the_unit_that_fits(count: int | None, text: str) -> None:
    assert memory_text(count) == text
