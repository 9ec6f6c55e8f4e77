"""What a run makes of a machine that lets it down: a full or read-only disk, little memory, a clock that is set back."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from kdzoo.engine.training.checkpoints import find_last
from kdzoo.report.progress import Reporter

Command = Callable[..., Any]
Write = Callable[..., Path]


@pytest.fixture
def recipe(write: Write, tiny: str) -> Path:
    """The fine-tune of a tiny teacher, with a checkpoint after each of its steps."""
    text = tiny.split('[[stage]]\nkind = "distill"')[0]
    return write(text, ("max_steps = 3", "max_steps = 4\nsave_steps = 1\nlogging_steps = 1"))


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A file system of its own at a folder."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def stage_of(out: Path) -> Path:
    (stage,) = out.glob("tiny-*/finetune")
    return stage


def test_a_disk_that_fills_up_leaves_the_last_checkpoint_and_room_is_all_it_takes_to_go_on(
    kdzoo: Command, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kdzoo("run", recipe, "--out", tmp_path / "whole", "--quiet").code == 0
    with mounted(tmp_path / "disk", "size=24m") as disk:
        advance = Reporter.advance

        def fill(self: Reporter, done: int, numbers: str = "") -> None:
            advance(self, done, numbers)
            if self._name == "finetune" and done == 3:
                with (disk / "filler").open("ab", buffering=0) as filler:
                    try:
                        while filler.write(bytes(4096)):
                            pass
                    except OSError:
                        return

        with monkeypatch.context() as patch:
            patch.setattr(Reporter, "advance", fill)
            done = kdzoo("run", recipe, "--out", disk / "runs")
        assert done.code == 1
        (line,) = done.err.splitlines()
        assert line.startswith(f"kdzoo: cannot write below {disk}/runs/tiny-")
        assert line.endswith("; what is finished is kept, and the same command continues")
        kept = find_last(stage_of(disk / "runs") / "checkpoints")
        assert kept.damaged == ()
        assert kept.last is not None
        assert kept.last.step == 2
        assert not list((disk / "runs").rglob(".*.tmp"))
        (disk / "filler").unlink()
        again = kdzoo("run", recipe, "--out", disk / "runs")
        assert again.code == 0
        assert "finetune: continues after step 2 of 4" in again.out
        ours, theirs = (
            load_file(stage_of(out) / "model/model.safetensors")
            for out in (disk / "runs", tmp_path / "whole")
        )
        assert all(weights.equal(theirs[name]) for name, weights in ours.items())


def test_a_folder_that_can_only_be_read_is_told_and_is_not_changed(
    kdzoo: Command, recipe: Path, tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk", "size=4m") as disk:
        (disk / "runs").mkdir()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        done = kdzoo("run", recipe, "--out", disk / "runs")
        assert done.code == 1
        (line,) = done.err.splitlines()
        assert line.startswith(f"kdzoo: cannot write below {disk}/runs")
        assert "Read-only file system" in line
        assert list((disk / "runs").iterdir()) == []


def test_a_clock_that_is_set_back_does_no_harm(
    kdzoo: Command, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look at it gives an earlier time, by more than a run takes; and so do the files that are written."""
    assert kdzoo("run", recipe, "--out", tmp_path / "whole", "--quiet").code == 0
    now = [time.time()]

    def earlier() -> float:
        now[0] -= 3600
        return now[0]

    advance = Reporter.advance

    def stop(self: Reporter, done: int, numbers: str = "") -> None:
        advance(self, done, numbers)
        for checkpoint in (tmp_path / "back").rglob("checkpoint-*"):
            step = int(checkpoint.name.split("-")[1])
            os.utime(checkpoint, (10**9 - 3600 * step,) * 2)
        if done == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(time, "time", earlier)
        patch.setattr(Reporter, "advance", stop)
        assert kdzoo("run", recipe, "--out", tmp_path / "back").code == 130
        patch.setattr(Reporter, "advance", advance)
        again = kdzoo("run", recipe, "--out", tmp_path / "back")
    assert again.code == 0
    assert "finetune: continues after step 2 of 4" in again.out
    ours, theirs = (
        load_file(stage_of(tmp_path / out) / "model/model.safetensors") for out in ("back", "whole")
    )
    assert all(weights.equal(theirs[name]) for name, weights in ours.items())
    record = json.loads((stage_of(tmp_path / "back") / "stage.json").read_text())
    times = [record["seconds"], *(v for k, v in record["results"].items() if k.endswith("seconds"))]
    assert all(seconds >= 0 for seconds in times)
    lines = [
        json.loads(line) for line in (stage_of(tmp_path / "back") / "metrics.jsonl").read_text().splitlines()
    ]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert all(line["tokens_per_second"] > 0 for line in lines)


def test_too_little_memory_for_the_libraries_is_one_line(recipe: Path) -> None:
    def little() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))

    code = "from kdzoo.cli import main; main()"
    command = [sys.executable, "-c", code, "run", str(recipe)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, preexec_fn=little)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("kdzoo: out of memory: ")


def test_too_little_memory_for_a_model_is_one_line_and_the_next_start_does_it(
    kdzoo: Command, recipe: Path
) -> None:
    """The room that is left is less than the weights alone, in one piece: 300 MB."""
    large = ("--set", "teacher.from_scratch.intermediate_size=800000")
    assert kdzoo("run", recipe, "--set", "training.max_steps=1").code == 0  # whatever else is to be loaded is
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (200 << 20), before[1]))
    try:
        done = kdzoo("run", recipe, *large)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert done.code == 1
    (line,) = [line for line in done.err.splitlines() if line.startswith("kdzoo: ")]
    assert line.startswith("kdzoo: out of memory: a smaller training.micro_batch_size")
