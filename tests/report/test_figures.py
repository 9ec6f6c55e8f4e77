"""Which pictures a comparison gives, and which numbers are in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import EVALUATE, FINETUNE, HEAD, KID, SFT, MadeRun, ex, kid

from kdzoo.report.comparison import compare
from kdzoo.report.figures import pictures
from kdzoo.report.pictures import Picture
from kdzoo.report.runs_read import read_runs
from kdzoo.report.statistics import wilson_interval

Drawn = Callable[..., dict[str, Picture]]


@pytest.fixture
def drawn(tmp_path: Path) -> Drawn:
    def drawn(*runs: MadeRun) -> dict[str, Picture]:
        comparison = compare(read_runs([run.write(tmp_path / f"run-{n}") for n, run in enumerate(runs)]))
        notes: list[str] = []
        found = {picture.title: picture for picture in pictures(comparison, notes)}
        assert notes == []
        return found

    return drawn


def percent(right: int, count: int) -> list[float]:
    return [pytest.approx(100 * end) for end in wilson_interval(right, count)]


def test_scores_stand_against_the_time_of_a_step_relative_to_sft(drawn: Drawn) -> None:
    results = {"sft": {"step_seconds": 0.2}, "kid": {"step_seconds": 0.5}}
    found = drawn(MadeRun([SFT, KID, EVALUATE], ex(sft=[1, 0, 0, 0], kid=[1, 1, 0, 0]), results))
    cost = found["EX against cost"]
    assert (cost.x_label, cost.y_label) == ("median time of a step (relative to the SFT student)", "EX (%)")
    assert [(s.row, s.x, s.y) for s in cost.series] == [(0, [1.0], [25.0]), (1, [2.5], [50.0])]
    assert [[*s.low, *s.high] for s in cost.series] == [percent(1, 4), percent(2, 4)]
    assert not cost.has_lines


def test_without_an_sft_student_they_stand_against_seconds(drawn: Drawn) -> None:
    found = drawn(MadeRun([KID, EVALUATE], ex(kid=[1, 0]), {"kid": {"step_seconds": 0.5}}))
    assert found["EX against cost"].x_label == "median time of a step (seconds)"
    assert found["EX against cost"].series[0].x == [0.5]


def test_of_several_columns_the_average_stands_against_cost(drawn: Drawn) -> None:
    answers = {"kid": {"a": {"ex": [1, 0]}, "b": {"ex": [0, 0]}}}
    found = drawn(MadeRun([KID, EVALUATE], answers, {"kid": {"step_seconds": 0.5}}))
    assert [(s.y, s.low) for s in found["Avg. against cost"].series] == [([25.0], ())]


def test_averages_of_different_scores_are_not_in_one_picture(drawn: Drawn) -> None:
    few = {"a": {"ex": [1, 0]}, "b": {"ex": [0, 0]}}
    answers = {"sft": few, "kid": {**few, "c": {"ex": [1, 1]}}}
    results = {"sft": {"step_seconds": 0.2}, "kid": {"step_seconds": 0.5}}
    found = drawn(MadeRun([SFT, KID, EVALUATE], answers, results))
    assert [s.row for s in found["Avg. of a, b against cost"].series] == [0]
    assert [(s.row, s.y) for s in found["Avg. of a, b, c against cost"].series] == [(1, [50.0])]


def test_without_times_there_is_no_such_picture(drawn: Drawn) -> None:
    assert drawn(MadeRun([SFT, EVALUATE], ex(sft=[1, 0]))) == {}


def test_a_sweep_is_a_curve_with_intervals_beside_the_sft_student(drawn: Drawn) -> None:
    shared = {"finetune": "t", "sft": "s"}
    found = drawn(
        *(
            MadeRun(
                [FINETUNE, SFT, kid(alpha), EVALUATE], ex(sft=[1, 0, 0, 0], kid=answers), fingerprints=shared
            )
            for alpha, answers in ((0.3, [1, 1, 1, 0]), (0.1, [1, 1, 0, 0]), (0.2, [1, 1, 1, 1]))
        )
    )
    sweep = found["EX of kid over alpha"]
    curve, level = sweep.series
    assert (curve.x, curve.y, curve.label) == ([0.1, 0.2, 0.3], [50.0, 100.0, 75.0], "kid")
    assert [curve.low[1], curve.high[1]] == percent(4, 4)
    assert (level.y, level.is_level) == ([25.0], True)
    assert sweep.ticks == [0.1, 0.2, 0.3]
    assert sweep.x_label == "alpha"


def test_points_of_a_sweep_with_sft_students_of_their_own_have_no_level(drawn: Drawn) -> None:
    runs = [
        MadeRun([SFT, EVALUATE], ex(sft=[1, 0, 0, n % 2]), head=f"{HEAD}[training]\nepochs = {n}\n")
        for n in (1, 2, 3)
    ]
    kids = [
        MadeRun([KID, EVALUATE], ex(kid=[1, 1, 0, 0]), head=f"{HEAD}[training]\nepochs = {n}\n")
        for n in (1, 2, 3)
    ]
    sweep = drawn(*runs, *kids)["EX of kid over training.epochs"]
    assert [(s.x, s.is_level) for s in sweep.series] == [([1.0, 2.0, 3.0], False)]
    assert sweep.description == ""


def test_what_of_a_sweep_is_not_measured_yet_is_left_out(drawn: Drawn) -> None:
    def run(alpha: float, *unfinished: str) -> MadeRun:
        return MadeRun([kid(alpha), EVALUATE], ex(kid=[1, 0]), unfinished=unfinished, status="running")

    runs = [run(0.1), run(0.2), run(0.3), run(0.4, "evaluate")]
    assert drawn(*runs)["EX of kid over alpha"].series[0].x == [0.1, 0.2, 0.3]


def test_scores_while_training_are_over_its_steps(drawn: Drawn) -> None:
    def scored(step: int, score: float) -> dict[str, Any]:
        return {"step": step, "set": "embedded", "examples": 4, "scores": {"ex": score}}

    runs = [
        MadeRun([SFT, EVALUATE], ex(sft=[1, 0]), logs={"sft": [scored(10, 0.25), scored(20, last)]}, seed=n)
        for n, last in enumerate((0.5, 0.75))
    ]
    (line,) = drawn(*runs)["EX while training"].series
    assert (line.x, line.y, line.low, line.high) == ([10, 20], [25.0, 62.5], [25.0, 50.0], [25.0, 75.0])


def test_losses_and_what_else_was_logged_are_curves(drawn: Drawn) -> None:
    logs = {
        "sft": [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}],
        "kid": [{"step": 1, "loss": 5.0, "agreement": 0.5}],
    }
    found = drawn(MadeRun([SFT, KID, EVALUATE], ex(sft=[1, 0], kid=[1, 0]), logs=logs))
    assert [(s.row, s.x, s.y) for s in found["Loss while training"].series] == [
        (0, [1, 2], [3.0, 2.0]),
        (1, [1], [5.0]),
    ]
    assert found["Loss while training"].y_label == "loss (nats per token)"
    assert [s.row for s in found["Agreement of student and teacher"].series] == [1]


def test_excess_errors_are_a_curve_over_length_where_they_are_defined(drawn: Drawn) -> None:
    def run(seed: int, curve: list[float | None]) -> MadeRun:
        details = {"kid": {"exaccerr": {"score": 9.0, "curve": curve}}}
        return MadeRun([KID, EVALUATE], ex(kid=[1, 0]), details=details, seed=seed)

    (line,) = drawn(run(0, [None, 10.0, 20.0]), run(1, [None, 30.0, None]))["ExAccErr over length"].series
    assert (line.x, line.y) == ([2, 3], [20.0, 20.0])
