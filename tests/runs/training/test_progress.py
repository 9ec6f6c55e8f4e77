"""What a training tells of its steps, and which of its seconds count."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from kdzoo.engine.training.nonfinite import SkippedStep
from kdzoo.methods import registry
from kdzoo.report.progress import Reporter
from kdzoo.runs.training.pace import Collapse
from kdzoo.runs.training.progress import TrainingProgress
from kdzoo.runs.training.unused_options import UnusedOptions

NUMBERS = {"loss": 2.5, "tokens_per_second": 310.0, "tokens_seen": 100.0}


@pytest.fixture
def printed() -> StringIO:
    return StringIO()


@pytest.fixture
def progress(printed: StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingProgress:
    monkeypatch.setattr("kdzoo.report.progress._PLAIN_INTERVAL_SECONDS", 0.0)
    reporter = Reporter(Console(file=printed, width=100))
    unread = UnusedOptions(registry.find("gkd").method.options(beta=0.3), set())
    return TrainingProgress(reporter, "stage", tmp_path / "seconds", unread)


def test_a_step_s_loss_and_speed_are_told(progress: TrainingProgress, printed: StringIO) -> None:
    progress.begin(20, 3)
    progress.step(4, 20, NUMBERS)
    first, second = printed.getvalue().splitlines()
    assert first == "stage: 3/20"
    assert second.startswith("stage: 4/20  loss 2.5000  310 tokens/s")


def test_steps_of_earlier_starts_are_none_in_which_an_option_could_have_been_read(
    progress: TrainingProgress, printed: StringIO
) -> None:
    progress.begin(20, 8)
    for step in range(9, 18):
        progress.step(step, 20, NUMBERS)
    assert "changed nothing" not in printed.getvalue()
    progress.step(18, 20, NUMBERS)
    assert "stage: beta = 0.3 changed nothing in 10 steps" in printed.getvalue()


@pytest.mark.parametrize(("threads", "advised"), [(1, False), (2, True)])
def test_fewer_threads_are_advised_where_there_are_several(
    progress: TrainingProgress,
    printed: StringIO,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    advised: bool,
) -> None:
    monkeypatch.setattr("kdzoo.runs.training.pace.Pace.seen", lambda *_: Collapse(310.4, 1900.2))
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    progress.begin(2, 0)
    progress.step(1, 2, NUMBERS)
    assert "stage: 310 tokens/s where 1900 were usual" in printed.getvalue()
    assert ("threads = 1 in the recipe" in printed.getvalue()) is advised


def test_a_skipped_step_is_told(progress: TrainingProgress, printed: StringIO) -> None:
    skipped = SkippedStep(7, float("inf"), [])
    progress.skipped(skipped)
    assert printed.getvalue() == f"stage: skipped, because it is not finite: {skipped}\n"


def test_seconds_that_are_left_out_do_not_count(progress: TrainingProgress, tmp_path: Path) -> None:
    progress.leave_out(1000.0)
    seconds = progress.stop()
    assert -1000 <= seconds < -900
    assert float((tmp_path / "seconds").read_text()) == seconds
