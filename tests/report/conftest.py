"""Runs that are written to folders and compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made_runs import MadeRun

from kdzoo.report.comparison import Comparison, compare
from kdzoo.report.runs_read import read_runs


@pytest.fixture
def compared(tmp_path: Path) -> Callable[..., Comparison]:
    def compared(*runs: MadeRun, against: str | None = None) -> Comparison:
        parent = tmp_path / str(len(list(tmp_path.iterdir())))
        folders = [run.write(parent / f"run-{n}") for n, run in enumerate(runs)]
        return compare(read_runs(folders), against)

    return compared
