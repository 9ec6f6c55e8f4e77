"""The most memory that a stage took at a time, and not what others took before it."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from kdzoo.runs.training import peak_memory
from kdzoo.runs.training.peak_memory import PeakMemory

CPU = torch.device("cpu")
MEBIBYTE = 1 << 20


def resident() -> int:
    """What this process holds at the moment, from another of the system's files."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def take(mebibytes: int) -> None:
    held = bytearray(mebibytes * MEBIBYTE)
    held[::4096] = b"x" * len(held[::4096])  # each page is touched


needs_linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")


@needs_linux
def test_is_that_of_the_stage_alone(tmp_path: Path) -> None:
    take(300)
    before = resident()
    memory = PeakMemory(tmp_path / "peak", CPU)
    take(100)
    peak = memory.keep()
    assert peak is not None
    assert before + 95 * MEBIBYTE <= peak <= before + 150 * MEBIBYTE


@needs_linux
def test_is_the_greatest_of_all_starts(tmp_path: Path) -> None:
    (tmp_path / "peak").write_text(f"{1 << 60}\n")
    assert PeakMemory(tmp_path / "peak", CPU).keep() == 1 << 60
    (tmp_path / "peak").write_text("17\n")
    peak = PeakMemory(tmp_path / "peak", CPU).keep()
    assert peak is not None
    assert peak > MEBIBYTE
    assert (tmp_path / "peak").read_text() == f"{peak}\n"


@pytest.mark.parametrize(("later", "expected"), [(500, None), (700, 700)])
def test_that_cannot_be_reset_is_the_stage_s_where_it_has_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: int, expected: int | None
) -> None:
    monkeypatch.setattr(peak_memory, "_reset_peak", lambda: False)
    peaks = iter([500, later])
    monkeypatch.setattr(peak_memory, "_peak_of_process", lambda: next(peaks))
    assert PeakMemory(tmp_path / "peak", CPU).keep() == expected


def test_of_a_gpu_is_what_torch_has_allocated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: told.append(device))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 12345)
    device = torch.device("cuda", 0)
    assert PeakMemory(tmp_path / "peak", device).keep() == 12345
    assert told == [device]
