"""Seconds are added up over all starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdzoo.runs.training.clock import Clock


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still until it is set."""
    moment = [100.0]
    monkeypatch.setattr("kdzoo.runs.training.clock.time.monotonic", lambda: moment[0])
    return moment


def test_every_start_adds_its_own(tmp_path: Path, now: list[float]) -> None:
    first = Clock(tmp_path / "seconds")
    now[0] += 5
    assert first.stop() == 5
    now[0] += 1000
    second = Clock(tmp_path / "seconds")
    now[0] += 3
    assert second.stop() == 8


def test_what_is_left_out_does_not_count(tmp_path: Path, now: list[float]) -> None:
    clock = Clock(tmp_path / "seconds")
    now[0] += 5
    clock.leave_out(2)
    assert clock.stop() == 3


def test_it_is_kept_from_time_to_time(tmp_path: Path, now: list[float]) -> None:
    clock = Clock(tmp_path / "seconds")
    now[0] += 9
    clock.keep()
    assert not (tmp_path / "seconds").exists()
    now[0] += 1
    clock.keep()
    assert (tmp_path / "seconds").read_text() == "10.0\n"


@pytest.mark.parametrize("text", ["", "half a numb"])
def test_a_broken_file_counts_nothing(tmp_path: Path, now: list[float], text: str) -> None:
    (tmp_path / "seconds").write_text(text)
    clock = Clock(tmp_path / "seconds")
    now[0] += 1
    assert clock.stop() == 1
