"""Making room: checkpoints go, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kdzoo.runs.listing import list_run
from kdzoo.runs.pruning import AtWorkError, Freed, prunable, prune
from kdzoo.runs.run_directory import RunDirectory, StageRecord


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a finished stage and one that is not, each with a checkpoint of 1000 bytes."""
    directory = RunDirectory(tmp_path / "runs/a-1")
    directory.path.mkdir(parents=True)
    directory.begin("name = 'a'\n", {"recipe": "a"})
    for name in ("teach", "learn"):
        checkpoint = directory.begin_stage(name, name) / "checkpoints/checkpoint-4"
        checkpoint.mkdir(parents=True)
        (checkpoint / "optimizer.pt").write_bytes(bytes(1000))
    (directory.stage("teach") / "model").mkdir()
    (directory.stage("teach") / "model/model.safetensors").touch()
    directory.finish_stage(StageRecord("teach", "finetune", "teach", 1.0))
    return directory.path


def files(run: Path) -> set[str]:
    return {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file() and path.name != ".lock"}


def test_finished_stages_lose_their_checkpoints_alone(run: Path) -> None:
    before = files(run)
    assert prune(run, unfinished=False) == [Freed(run / "teach/checkpoints", 1000)]
    assert before - files(run) == {"teach/checkpoints/checkpoint-4/optimizer.pt"}
    assert list_run(run).finished_stages == 1
    assert prune(run, unfinished=False) == []


def test_the_others_lose_theirs_on_request(run: Path) -> None:
    freed = prune(run, unfinished=True)
    assert sorted(one.path.parent.name for one in freed) == ["learn", "teach"]
    assert RunDirectory(run).begun("learn", "learn") == run / "learn"


def test_what_would_be_removed_can_be_seen_before(run: Path) -> None:
    before = files(run)
    assert prunable(run, unfinished=True) == [
        Freed(run / name / "checkpoints", 1000) for name in ("learn", "teach")
    ]
    assert files(run) == before


def test_another_run_s_stage_is_left_to_it(run: Path, tmp_path: Path) -> None:
    other = RunDirectory(tmp_path / "runs/b-2")
    other.path.mkdir()
    other.reuse("teach", run / "teach")
    assert prune(other.path, unfinished=True) == []
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (run / "learn/checkpoints/checkpoint-4/optimizer.pt").unlink()
    (run / "learn/checkpoints/checkpoint-4").rmdir()
    (run / "learn/checkpoints").rmdir()
    (run / "learn/checkpoints").symlink_to(elsewhere)
    (elsewhere / "theirs").touch()
    prune(run, unfinished=True)
    assert (elsewhere / "theirs").exists()


@contextmanager
def at_work(run: Path) -> Iterator[int]:
    code = (
        "import sys\nfrom pathlib import Path\nfrom kdzoo.runs.run_directory import RunDirectory\n"
        "with RunDirectory(Path(sys.argv[1])).locked():\n    print(flush=True)\n    sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", code, str(run)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.communicate("\n")


def test_a_run_that_is_at_work_is_never_touched_and_is_listed_as_such(run: Path) -> None:
    before = files(run)
    with at_work(run) as process:
        for look in (prune, prunable):
            with pytest.raises(AtWorkError, match=rf"process {process} is at work in it"):
                look(run, unfinished=True)
        found = list_run(run)
        assert (found.status, found.process) == ("running", str(process))
        with pytest.raises(AtWorkError):  # looking has not taken its lock from it
            prune(run, unfinished=True)
    assert files(run) == before
    assert list_run(run).status == "killed"
