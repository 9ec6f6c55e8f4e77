"""The run that is exported, and runs that are made up of what they left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import HEAD, MadeRun
from small_run import make_small_run


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with adapters and a whole model; it is not to be changed."""
    return make_small_run(tmp_path_factory.mktemp("small"))


@pytest.fixture
def made_run(tmp_path: Path) -> Callable[..., Path]:
    """Make up a run of these stages, with an empty folder for each finished one's model."""

    def make(*stages: str, head: str = HEAD, name: str = "run", **made: Any) -> Path:
        run = MadeRun(stages, head=head, **made).write(tmp_path / name)
        for file in run.glob("*/metrics.jsonl"):
            if (file.parent / "stage.json").is_file():
                (file.parent / "model").mkdir()
        return run

    return make
