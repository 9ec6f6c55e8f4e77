"""Numbers over the steps of a training, as the mean over seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import EVALUATE, SFT, MadeRun

from kdzoo.report.groups import ModelGroup, grouped
from kdzoo.report.measured import Column, measured_models
from kdzoo.report.runs_read import read_run
from kdzoo.report.training_curves import (
    OverSteps,
    logged_lines,
    number_over_steps,
    score_over_steps,
    scored_columns,
)

Grouped = Callable[..., ModelGroup]


@pytest.fixture
def group(tmp_path: Path) -> Grouped:
    def group(*logs: list[dict[str, Any]], **more: Any) -> ModelGroup:
        runs = [MadeRun([SFT, EVALUATE], logs={"sft": lines}, seed=n, **more) for n, lines in enumerate(logs)]
        folders = [run.write(tmp_path / f"run-{n}") for n, run in enumerate(runs)]
        (found,) = grouped(model for folder in folders for model in measured_models(read_run(folder), []))
        return found

    return group


def test_losses_are_the_mean_over_seeds_with_their_range(group: Grouped) -> None:
    logs = logged_lines(
        group([{"step": 1, "loss": 4.0}, {"step": 2, "loss": 2.0}], [{"step": 1, "loss": 6.0}]), []
    )
    assert number_over_steps(logs, "loss") == OverSteps([1, 2], [5.0, 2.0], [4.0, 2.0], [6.0, 2.0])


def test_scores_are_by_set_and_metric(group: Grouped) -> None:
    lines = [
        {"step": 5, "loss": 1.0},
        {"step": 5, "set": "dk", "examples": 9, "scores": {"ex": 0.25, "ts": None}},
    ]
    logs = logged_lines(group(lines), [])
    assert scored_columns(logs) == [Column("dk", "ex"), Column("dk", "ts")]
    assert score_over_steps(logs, Column("dk", "ex")) == OverSteps([5], [0.25], [0.25], [0.25])
    assert score_over_steps(logs, Column("dk", "ts")) is None


def test_what_is_no_number_is_left_out(group: Grouped) -> None:
    values = [None, "x", True, float("nan"), float("inf"), 3]
    logs = logged_lines(group([{"step": n, "loss": value} for n, value in enumerate(values)]), [])
    assert number_over_steps(logs, "loss") == OverSteps([5], [3], [3], [3])
    assert number_over_steps(logs, "agreement") is None


def test_a_long_training_is_put_together_to_what_a_picture_can_show(group: Grouped) -> None:
    logs = logged_lines(group([{"step": n, "loss": float(n)} for n in range(1, 1001)]), [])
    found = number_over_steps(logs, "loss")
    assert found is not None
    assert len(found.steps) <= 80
    assert found.steps == found.mean
    assert sum(found.mean) / len(found.mean) == pytest.approx(500.5, rel=0.01)


def test_a_training_that_is_going_on_is_shown_as_far_as_it_is(group: Grouped) -> None:
    one = group([{"step": 1, "loss": 4.0}], unfinished=["sft", "evaluate"], status="running")
    file = one.members[0].run.folder / "sft" / "metrics.jsonl"
    file.write_text(file.read_text() + '{"step": 2, "lo')
    notes: list[str] = []
    assert number_over_steps(logged_lines(one, notes), "loss") == OverSteps([1], [4.0], [4.0], [4.0])
    assert notes == []


def test_a_damaged_log_ends_where_it_is_damaged_and_is_told(group: Grouped) -> None:
    one = group([{"step": 1, "loss": 4.0}])
    file = one.members[0].run.folder / "sft" / "metrics.jsonl"
    file.write_text(file.read_text() + '{"step": 2, "lo\n')
    notes: list[str] = []
    assert number_over_steps(logged_lines(one, notes), "loss") == OverSteps([1], [4.0], [4.0], [4.0])
    assert "metrics.jsonl:2: not valid JSON" in notes[0]
    file.unlink()
    assert logged_lines(one, notes) == [[]]
