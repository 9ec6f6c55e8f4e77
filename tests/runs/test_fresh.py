"""Doing anew what is finished: what was there stays until its like is, wherever a process is killed in between."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kdzoo.runs.fresh import Fresh, new_mark
from kdzoo.runs.run_directory import RunDirectory, StageRecord


def do(run: RunDirectory, name: str, content: str) -> Path:
    """A stage from its beginning to its end. Its fingerprint is its name."""
    folder = run.begin_stage(name, name)
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model/weights").write_text(content)
    run.finish_stage(StageRecord(name, "finetune", name, 1.0))
    return folder


def weights(run: RunDirectory, name: str) -> str:
    return (run.stage(name) / "model/weights").read_text()


def finds(run: RunDirectory, name: str) -> Path | None:
    found = run.find_finished(name, name)
    return None if found is None else found[0]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path / "runs/a-1")
    directory.path.mkdir(parents=True)
    return directory


@pytest.fixture
def other(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path / "runs/b-2")
    directory.path.mkdir(parents=True)
    return directory


def test_what_is_finished_here_and_elsewhere_counts_no_more(run: RunDirectory, other: RunDirectory) -> None:
    do(run, "teach", "old")
    do(other, "learn", "old")
    run.ask_anew(["teach", "learn"], new_mark())
    assert finds(run, "teach") is None
    assert finds(run, "learn") is None
    assert finds(other, "teach") == run.stage("teach")  # for others it does


def test_what_is_half_done_is_begun_anew_and_then_continued(run: RunDirectory) -> None:
    (run.begin_stage("teach", "teach") / "checkpoint").touch()
    run.ask_anew(["teach"], new_mark())
    assert run.begun("teach", "teach") is None
    folder = run.begin_stage("teach", "teach")
    assert [path.name for path in folder.iterdir()] == ["fingerprint"]
    (folder / "checkpoint").touch()
    # the next start, which is not asked for anything
    later = RunDirectory(run.path)
    assert later.begun("teach", "teach") == folder
    assert (later.begin_stage("teach", "teach") / "checkpoint").exists()
    # but asked once more, it begins once more
    later.ask_anew(["teach"], new_mark())
    assert later.begun("teach", "teach") is None


def test_the_old_one_is_kept_until_the_new_one_is_there(run: RunDirectory, other: RunDirectory) -> None:
    do(run, "teach", "old")
    other.reuse("teach", run.stage("teach"))
    run.ask_anew(["teach"], new_mark())
    run.begin_stage("teach", "teach")
    aside = finds(other, "teach")
    assert aside is not None
    assert (aside / "model/weights").read_text() == "old"
    do(run, "teach", "new")
    assert weights(run, "teach") == weights(other, "teach") == "new"
    assert finds(run, "teach") == run.stage("teach")
    assert sorted(path.name for path in run.path.iterdir()) == ["teach"]


def test_another_run_s_stage_that_is_linked_to_stays_as_it_is(run: RunDirectory, other: RunDirectory) -> None:
    do(other, "teach", "theirs")
    run.reuse("teach", other.stage("teach"))
    run.ask_anew(["teach"], new_mark())
    do(run, "teach", "ours")
    assert weights(other, "teach") == "theirs"
    assert weights(run, "teach") == "ours"
    assert not run.stage("teach").is_symlink()


def test_runs_with_one_mark_do_a_common_stage_once(run: RunDirectory, other: RunDirectory) -> None:
    do(run, "teach", "old")
    other.reuse("teach", run.stage("teach"))
    mark = new_mark()
    for one in (run, other):
        one.ask_anew(["teach"], mark)
    do(other, "teach", "new")
    found = finds(run, "teach")
    assert found == other.stage("teach")
    run.reuse("teach", found)
    assert weights(run, "teach") == "new"
    assert run.fresh.stages == other.fresh.stages == ()


def test_stages_are_done_anew_one_after_the_other(run: RunDirectory) -> None:
    for name in ("teach", "learn"):
        do(run, name, "old")
    run.ask_anew(["teach", "learn"], new_mark())
    do(run, "teach", "new")
    assert finds(run, "teach") == run.stage("teach")
    assert finds(run, "learn") is None
    assert weights(run, "learn") == "old"


@pytest.mark.parametrize("content", ["", "[]", '{"mark": 1}', '{"mark": "m", "stages": 3}', "\0"])
def test_a_damaged_file_asks_for_nothing(run: RunDirectory, content: str) -> None:
    do(run, "teach", "old")
    (run.path / "fresh.json").write_text(content)
    assert finds(run, "teach") == run.stage("teach")


class KilledError(Exception):
    pass


def killed_at(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let the process end before one of the changes that it makes to files."""
    left = [count]

    def change(made: object) -> object:
        def changed(*given: object, **named: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                raise KilledError
            return made(*given, **named)  # type: ignore[operator]

        return changed

    for name in ("rename", "replace", "unlink", "mkdir"):
        monkeypatch.setattr(Path, name, change(getattr(Path, name)))
    monkeypatch.setattr(shutil, "rmtree", change(shutil.rmtree))


def test_wherever_it_is_killed_nothing_is_lost_and_the_next_start_ends_in_the_new_one(
    tmp_path: Path,
) -> None:
    for count in range(1, 100):
        run = RunDirectory(tmp_path / f"{count}/a-1")
        run.path.mkdir(parents=True)
        do(run, "teach", "old")
        is_killed = False
        with pytest.MonkeyPatch.context() as patch:
            killed_at(patch, count)
            try:
                run.begin("", {})
                run.ask_anew(["teach"], new_mark())
                do(run, "teach", "new")
            except KilledError:
                is_killed = True
        asked = (run.path / "fresh.json").exists()
        kept = {path.parent for path in run.path.glob("*/stage.json")}
        assert {(path / "model/weights").read_text() for path in kept} & {"old", "new"}
        run.begin("", {})
        if finds(run, "teach") is None:
            assert asked
            do(run, "teach", "new")
        run.reuse("teach", run.stage("teach"))
        assert weights(run, "teach") == "new" or not asked
        run.begin("", {})
        assert sorted(path.name for path in run.path.iterdir()) == ["recipe.toml", "run.json", "teach"], count
        if not is_killed:
            assert weights(run, "teach") == "new"
            assert count > 10
            return
    pytest.fail("it never ends")


def test_another_run_s_new_one_replaces_what_is_aside_wherever_it_is_killed(tmp_path: Path) -> None:
    for count in range(1, 100):
        run, other = (RunDirectory(tmp_path / f"{count}/{name}") for name in ("a-1", "b-2"))
        for one in (run, other):
            one.path.mkdir(parents=True)
        do(run, "teach", "old")
        mark = new_mark()
        for one in (run, other):
            one.ask_anew(["teach"], mark)
        run.begin_stage("teach", "teach")
        new = do(other, "teach", "new")
        is_killed = False
        with pytest.MonkeyPatch.context() as patch:
            killed_at(patch, count)
            try:
                run.reuse("teach", new)
            except KilledError:
                is_killed = True
        run.begin("", {})
        found = finds(run, "teach")
        assert found is not None
        assert (found / "model/weights").read_text() == "new", count
        run.reuse("teach", found)
        assert sorted(path.name for path in run.path.iterdir()) == ["recipe.toml", "run.json", "teach"]
        if not is_killed:
            assert count > 3
            return
    pytest.fail("it never ends")


def test_who_gives_it_up_by_removing_its_file_has_the_old_one_back(run: RunDirectory) -> None:
    do(run, "teach", "old")
    run.ask_anew(["teach"], new_mark())
    run.begin_stage("teach", "teach")
    (run.path / "fresh.json").unlink()
    run.begin("", {})
    assert finds(run, "teach") == run.stage("teach")
    assert weights(run, "teach") == "old"


def test_its_file_says_what_is_left(run: RunDirectory) -> None:
    run.ask_anew(["teach", "learn"], "m")
    assert json.loads((run.path / "fresh.json").read_text()) == {"mark": "m", "stages": ["teach", "learn"]}
    assert Fresh.of(run.path) == Fresh(run.path, "m", ("teach", "learn"))
    run.fresh.is_done("learn")
    assert Fresh.of(run.path).stages == ("teach",)
