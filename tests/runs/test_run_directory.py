"""The directory of a run: stages that are finished are found again, here and beside it; all else is done anew."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from kdzoo.errors import RunError
from kdzoo.runs.run_directory import RunDirectory, StageRecord

RECORD = StageRecord("teach", "finetune", "print-1", 12.5, {"steps": 3})


def finished(run: RunDirectory, record: StageRecord = RECORD) -> Path:
    """A stage that was begun, left a model, and was finished."""
    folder = run.begin_stage(record.name, record.fingerprint)
    (folder / "model").mkdir()
    (folder / "model/weights").write_text(record.fingerprint)
    run.finish_stage(record)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "runs/a-1")


@pytest.fixture
def other(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "runs/b-2")


class TestFindingABegunStage:
    def test_it_has_the_fingerprint(self, run: RunDirectory) -> None:
        folder = run.begin_stage("teach", "print-1")
        assert run.begun("teach", "print-1") == folder
        assert run.begun("teach", "print-2") is None
        assert run.begun("learn", "print-1") is None

    def test_another_run_s_is_not_continued(self, run: RunDirectory, other: RunDirectory) -> None:
        other.path.mkdir(parents=True)
        other.reuse("teach", finished(run))
        assert other.begun("teach", "print-1") is None


class TestFindingFinishedStages:
    def test_one_s_own(self, run: RunDirectory) -> None:
        folder = finished(run)
        assert run.find_finished("teach", "print-1") == (folder, RECORD)

    def test_one_of_another_run_under_another_name(self, run: RunDirectory, other: RunDirectory) -> None:
        folder = finished(run)
        assert other.find_finished("teacher", "print-1") == (folder, RECORD)

    def test_only_with_the_same_fingerprint(self, run: RunDirectory, other: RunDirectory) -> None:
        finished(run)
        assert run.find_finished("teach", "print-2") is None
        assert other.find_finished("teach", "print-2") is None

    def test_nothing_before_there_are_runs(self, run: RunDirectory) -> None:
        assert run.find_finished("teach", "print-1") is None

    def test_not_while_it_is_unfinished(self, run: RunDirectory, other: RunDirectory) -> None:
        (run.begin_stage("teach", "print-1") / "model").mkdir()
        assert run.find_finished("teach", "print-1") is None
        assert other.find_finished("teach", "print-1") is None

    @pytest.mark.parametrize(
        "damage", [lambda text: text[:-20], lambda _: "", lambda _: "[]", lambda _: '{"a": 1}']
    )
    def test_a_damaged_record_is_none(self, run: RunDirectory, damage: object) -> None:
        record = finished(run) / "stage.json"
        record.write_text(damage(record.read_text()))  # type: ignore[operator]
        assert run.find_finished("teach", "print-1") is None

    def test_a_record_of_other_bytes_is_none(self, run: RunDirectory) -> None:
        (finished(run) / "stage.json").write_bytes(b"\xff\xfe\x00")
        assert run.find_finished("teach", "print-1") is None

    def test_a_stage_whose_model_was_deleted_is_no_longer_finished(self, run: RunDirectory) -> None:
        folder = finished(run)
        shutil.rmtree(folder / "model")
        assert run.find_finished("teach", "print-1") is None
        assert run.begin_stage("teach", "print-1") == folder

    def test_an_evaluation_has_no_model_to_lose(self, run: RunDirectory) -> None:
        record = StageRecord("evaluate", "evaluate", "print-3", 1.0)
        run.begin_stage("evaluate", "print-3")
        run.finish_stage(record)
        assert run.find_finished("evaluate", "print-3") == (run.stage("evaluate"), record)

    def test_what_is_no_run_is_passed_over(self, run: RunDirectory, other: RunDirectory) -> None:
        (run.path.parent / ".cache/contents").mkdir(parents=True)
        (run.path.parent / "notes.txt").touch()
        folder = finished(run)
        assert other.find_finished("teach", "print-1") == (folder, RECORD)


class TestReuse:
    def test_it_is_a_link_that_moves_with_the_runs(
        self, run: RunDirectory, other: RunDirectory, tmp_path: Path
    ) -> None:
        folder = finished(run)
        other.path.mkdir()
        other.reuse("teacher", folder)
        assert not os.path.isabs(os.readlink(other.stage("teacher")))
        (tmp_path / "runs").rename(tmp_path / "moved")
        moved = RunDirectory(tmp_path / "moved/b-2")
        assert (moved.stage("teacher") / "model/weights").read_text() == "print-1"
        assert moved.find_finished("teacher", "print-1") == (moved.stage("teacher"), RECORD)

    def test_one_s_own_stage_stays_as_it_is(self, run: RunDirectory) -> None:
        folder = finished(run)
        run.reuse("teach", folder)
        assert not folder.is_symlink()

    def test_it_replaces_what_was_begun(self, run: RunDirectory, other: RunDirectory) -> None:
        folder = finished(run)
        (other.begin_stage("teach", "print-1") / "checkpoints").mkdir()
        other.reuse("teach", folder)
        assert other.stage("teach").resolve() == folder.resolve()

    def test_a_link_is_not_found_as_a_stage_of_its_run(self, run: RunDirectory, other: RunDirectory) -> None:
        folder = finished(run)
        other.path.mkdir()
        other.reuse("teach", folder)
        third = RunDirectory(run.path.with_name("c-3"))
        found = third.find_finished("teach", "print-1")
        assert found is not None
        assert found[0] == folder

    def test_a_link_whose_run_is_deleted_is_done_again(self, run: RunDirectory, other: RunDirectory) -> None:
        folder = finished(run)
        other.path.mkdir()
        other.reuse("teach", folder)
        shutil.rmtree(run.path)
        assert other.find_finished("teach", "print-1") is None
        own = other.begin_stage("teach", "print-1")
        assert own.is_dir()
        assert not own.is_symlink()

    def test_a_link_to_a_stage_that_was_made_anew_otherwise_is_done_again(
        self, run: RunDirectory, other: RunDirectory
    ) -> None:
        other.path.mkdir(parents=True)
        other.reuse("teach", finished(run))
        renewed = finished(run, StageRecord("teach", "finetune", "print-9", 1.0))
        assert other.find_finished("teach", "print-1") is None
        other.begin_stage("teach", "print-1")
        assert (renewed / "model/weights").read_text() == "print-9"

    def test_two_stages_of_one_run_may_be_one(self, run: RunDirectory) -> None:
        folder = finished(run)
        run.reuse("again", folder)
        assert os.readlink(run.stage("again")) == "teach"


class TestBeginningAStage:
    def test_what_was_begun_with_the_same_settings_is_kept(self, run: RunDirectory) -> None:
        (run.begin_stage("kid", "print-1") / "checkpoint").touch()
        assert (run.begin_stage("kid", "print-1") / "checkpoint").exists()

    @pytest.mark.parametrize("marker", ["print-2", None, b"\xff\xff"])
    def test_what_was_begun_with_others_is_removed(self, run: RunDirectory, marker: object) -> None:
        folder = run.begin_stage("kid", "print-1")
        (folder / "checkpoint").touch()
        if marker is None:
            (folder / "fingerprint").unlink()
        else:
            (folder / "fingerprint").write_bytes(
                marker if isinstance(marker, bytes) else str(marker).encode()
            )
        assert [path.name for path in run.begin_stage("kid", "print-1").iterdir()] == ["fingerprint"]

    def test_what_a_killed_process_was_writing_is_removed(self, run: RunDirectory) -> None:
        folder = run.begin_stage("kid", "print-1")
        (folder / ".model.123.tmp").mkdir()
        (folder / ".model.123.tmp/half").touch()
        (folder / ".stage.json.123.tmp").touch()
        (folder / "checkpoints").mkdir()
        run.begin_stage("kid", "print-1")
        assert sorted(path.name for path in folder.iterdir()) == ["checkpoints", "fingerprint"]


class TestDescription:
    def test_what_a_killed_process_was_writing_in_the_run_is_removed(self, run: RunDirectory) -> None:
        (run.path / ".tokenizer.123.tmp").mkdir(parents=True)
        (run.path / ".run.json.123.tmp").touch()
        run.begin("", {})
        assert sorted(path.name for path in run.path.iterdir()) == ["recipe.toml", "run.json"]

    def test_a_run_says_what_it_is_and_how_it_stands(self, run: RunDirectory) -> None:
        run.path.mkdir(parents=True)
        run.begin("name = 'a'\n", {"seed": 1})
        assert (run.path / "recipe.toml").read_text() == "name = 'a'\n"
        assert json.loads((run.path / "run.json").read_text()) == {"seed": 1, "status": "running"}
        run.describe({"seed": 1, "status": "finished"})
        assert json.loads((run.path / "run.json").read_text())["status"] == "finished"

    @pytest.mark.parametrize("status", ["failed", "interrupted"])
    def test_how_it_ended_is_written_over_the_rest_where_no_new_file_fits(
        self, run: RunDirectory, monkeypatch: pytest.MonkeyPatch, status: str
    ) -> None:
        run.path.mkdir(parents=True)
        run.begin("", {"seed": 3})

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("kdzoo.runs.run_directory.write_json", full)
        run.describe_in_place({"status": status})
        assert json.loads((run.path / "run.json").read_text()) == {"status": status}

    def test_runs_of_the_same_recipe_are_found(self, run: RunDirectory, other: RunDirectory) -> None:
        for directory in (run, other):
            directory.path.mkdir(parents=True)
        run.begin("name = 'a'\n", {})
        other.begin("name = 'b'\n", {})
        assert RunDirectory(run.path.with_name("a-2")).others_of("name = 'a'\n") == [run.path]
        assert run.others_of("name = 'a'\n") == []

    def test_a_record_is_what_its_file_says(self, run: RunDirectory) -> None:
        assert json.loads((finished(run) / "stage.json").read_text()) == asdict(RECORD)


HOLDER = """
import sys
from pathlib import Path
from kdzoo.runs.run_directory import RunDirectory
with RunDirectory(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    sys.stdin.readline()
"""


class TestLock:
    def hold(self, path: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        return process

    def test_a_second_process_is_turned_away_and_told_of_the_first(self, run: RunDirectory) -> None:
        process = self.hold(run.path)
        try:
            with pytest.raises(RunError) as caught:
                run.locked().__enter__()
            message = str(caught.value)
            assert message.startswith(f"another process ({process.pid}) is at work in {run.path}; ")
            assert caught.value.exit_code == 1
        finally:
            process.communicate("\n")
        with run.locked():
            pass

    def test_a_process_that_is_killed_keeps_nobody_out(self, run: RunDirectory) -> None:
        process = self.hold(run.path)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with run.locked():
            assert (run.path / ".lock").read_text() == str(os.getpid())

    def test_other_runs_go_on(self, run: RunDirectory, other: RunDirectory) -> None:
        process = self.hold(run.path)
        try:
            with other.locked():
                pass
        finally:
            process.communicate("\n")
