"""Memory before a run: a stage that will not fit is told of, with settings that would."""

from __future__ import annotations

from typing import Any

import pytest

from kdzoo.runs.checks import before_run
from kdzoo.runs.memory.room import Room


def leave(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(before_run, "room_on", lambda device: Room(free, 0, "this test"))


def test_a_stage_that_will_not_fit_is_told_of_with_what_would(
    check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(monkeypatch, 60_000)
    (line,) = [line for line in check("sft", overrides=("training.batch_size=4",)) if "memory" in line]
    assert line.startswith("--set training.batch_size=4: sft will take about ")
    assert "this test leaves 0 MiB" in line
    assert "it would fit with micro_batch_size = " in line or "no setting makes it fit" in line


def test_what_fits_is_tried_out_by_nobody(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("a small model was tried out")

    monkeypatch.setattr("kdzoo.runs.memory.stages.StageMemory.estimate", never)
    assert check("sft") == check("sft")
