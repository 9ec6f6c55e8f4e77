"""What is told of runs: how they ended, what they scored, and the space that they take."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from made_runs import EVALUATE, KID, SFT, MadeRun

from kdzoo.errors import UserError
from kdzoo.runs.listing import list_run, runs_in, size_of
from kdzoo.runs.run_directory import RunDirectory

ANSWERS = {"sft": {"embedded": {"ex": [0.0] * 10}}, "kid": {"embedded": {"ex": [1.0] * 8 + [0.0] * 2}}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run, of which one stage has checkpoints of 300 bytes."""
    folder = MadeRun([SFT, KID, EVALUATE], ANSWERS).write(tmp_path / "runs/r-1")
    for stage in ("sft", "kid"):
        (folder / stage / "model").mkdir()
    for step in (1, 2, 3):
        checkpoint = folder / f"kid/checkpoints/checkpoint-{step}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "optimizer.pt").write_bytes(bytes(100))
    return folder


class TestFinding:
    def test_a_folder_of_runs_and_a_run_itself(self, run: Path) -> None:
        (run.parent / ".cache").mkdir()
        (run.parent / "notes.txt").touch()
        assert runs_in([run.parent]) == runs_in([run]) == [run]
        assert runs_in([run, run.parent, run.parent / "../runs"]) == [run]

    def test_there_may_be_none(self, tmp_path: Path) -> None:
        assert runs_in([tmp_path]) == []

    @pytest.mark.parametrize("name", ["absent", "file"])
    def test_what_is_no_folder_is_told(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(UserError, match=name):
            runs_in([tmp_path / name])


class TestOneRun:
    def test_a_finished_one(self, run: Path) -> None:
        for file in run.rglob("*"):
            os.utime(file, (1000, 1000))
        os.utime(run / "kid/stage.json", (2000, 2000))
        os.utime(run / "run.json", (3000, 3000))  # a start that had nothing to do
        found = list_run(run)
        assert (found.status, found.process, found.finished_stages, found.of_stages) == (
            "finished",
            None,
            3,
            3,
        )
        assert found.scores == {"sft": {"embedded": {"ex": 0.0}}, "kid": {"embedded": {"ex": 0.8}}}
        assert found.checkpoints_size == 300
        assert found.size == sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
        assert found.written == datetime.fromtimestamp(2000, UTC)
        assert json.loads(json.dumps(found.as_json()))["written"] == "1970-01-01T00:33:20+00:00"

    def test_one_that_shares_a_stage_does_not_count_its_files(self, run: Path, tmp_path: Path) -> None:
        other = MadeRun([SFT, EVALUATE]).write(tmp_path / "runs/r-2")
        before = list_run(other).size - size_of(other / "sft")
        RunDirectory(other).reuse("sft", run / "sft")
        found = list_run(other)
        assert found.size == before
        assert found.finished_stages == 2

    @pytest.mark.parametrize(
        ("told", "status"), [("running", "killed"), ("failed", "failed"), ("interrupted", "interrupted")]
    )
    def test_one_that_has_not_ended(self, tmp_path: Path, told: str, status: str) -> None:
        run = MadeRun([SFT, EVALUATE], unfinished=["evaluate", "sft"], status=told).write(tmp_path / "r")
        (run / "sft/fingerprint").touch()
        found = list_run(run)
        assert (found.status, found.finished_stages, found.of_stages) == (status, 0, 2)
        assert found.scores == {}

    def test_a_stage_without_its_model_is_not_finished(self, run: Path) -> None:
        (run / "sft/model").rmdir()
        assert list_run(run).finished_stages == 2

    @pytest.mark.parametrize("content", ["", "[]", "{", "\0"])
    def test_what_is_damaged_is_noted_and_the_rest_is_told(self, run: Path, content: str) -> None:
        for name in ("run.json", "recipe.toml", "evaluate/stage.json"):
            (run / name).write_text(content)
        found = list_run(run)
        assert (found.status, found.recipe) == ("unknown", "r-1")
        assert len(found.notes) == 1
        assert found.checkpoints_size == 300
