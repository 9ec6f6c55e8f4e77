"""Disk space before a run: what trainings write must fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kdzoo.runs.checks import disk


def test_a_run_that_would_fill_the_disk_is_refused_before_it_writes(
    check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 1000)
    message = check.refused("teacher", "kid", exit_code=1)
    assert "there are 0 MiB free, and this run writes 0 MiB" in message
    assert "--out names another folder" in message


def test_what_fits_is_not_spoken_of(check: Any, tmp_path: Path) -> None:
    assert not any("free" in line for line in check("teacher", "kid"))
