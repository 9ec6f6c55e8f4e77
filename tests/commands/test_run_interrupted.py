"""A run that is stopped, by Ctrl-C or by force, continues when it is started again, and ends in the same weights."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

Command = Callable[..., Any]

_PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def recipe(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe whose student has dropout, and whose training takes long enough to be stopped in its middle."""
    text = tiny.replace("max_steps = 3", "max_steps = 50\nsave_steps = 10\nlogging_steps = 1")
    text = text.replace("hidden_size = 32,", "hidden_size = 32, attention_dropout = 0.1,")
    text = text.split('[[stage]]\nkind = "evaluate"')[0].replace('[[stage]]\nkind = "finetune"', "", 1)
    text += 'training = { batch_size = 8, micro_batch_size = 4, group_by = "database" }\n'
    path = tmp_path_factory.mktemp("interrupted") / "r.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def uninterrupted(kdzoo: Command, recipe: Path) -> Path:
    """The student of a run that nothing stopped."""
    out = recipe.parent / "uninterrupted"
    assert kdzoo("run", recipe, "--out", out, "--quiet").code == 0
    return stage_of(out)


def stage_of(out: Path) -> Path:
    (stage,) = out.glob("tiny-*/kid")
    return stage


@contextmanager
def started(recipe: Path, out: Path) -> Iterator[subprocess.Popen[str]]:
    """A run in a process group of its own, as a terminal starts it, in the middle of its training."""
    command = [
        sys.executable,
        "-c",
        "from kdzoo.cli import main; main()",
        "run",
        str(recipe),
        "--out",
        str(out),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not list(out.glob("tiny-*/kid/checkpoints/checkpoint-[2-4]0/trainer_state.json")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        yield process
    finally:
        process.kill()
        process.wait()


def test_ctrl_c_is_told_in_one_line_and_exits_with_130(
    recipe: Path, uninterrupted: Path, kdzoo: Command
) -> None:
    out = recipe.parent / "ctrl-c"
    with started(recipe, out) as process:
        os.killpg(process.pid, signal.SIGINT)
        printed, told = process.communicate(timeout=_PATIENCE_SECONDS)
    assert process.returncode == 130
    assert told.strip().splitlines()[-1] == "kdzoo: interrupted; the same command continues"
    assert "finished" not in printed
    assert json.loads((stage_of(out).parent / "run.json").read_text())["status"] == "interrupted"
    continues_and_ends_as(uninterrupted, recipe, out, kdzoo)


def test_a_process_that_is_killed_loses_nothing_before_its_last_checkpoint(
    recipe: Path, uninterrupted: Path, kdzoo: Command
) -> None:
    out = recipe.parent / "killed"
    with started(recipe, out) as process:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=_PATIENCE_SECONDS)
    assert process.returncode == -signal.SIGKILL
    assert not (stage_of(out) / "stage.json").exists()
    # a checkpoint that was being written has no state of the trainer's, and counts for nothing
    newest = max(stage_of(out).glob("checkpoints/*"), key=lambda path: int(path.name.split("-")[1]))
    half_written = newest.with_name("checkpoint-49")
    half_written.mkdir()
    (half_written / "model.safetensors").write_bytes(b"half")
    continues_and_ends_as(uninterrupted, recipe, out, kdzoo)


def continues_and_ends_as(uninterrupted: Path, recipe: Path, out: Path, kdzoo: Command) -> None:
    before = [json.loads(line) for line in (stage_of(out) / "metrics.jsonl").read_text().splitlines()]
    assert 0 < before[-1]["step"] < 50
    assert kdzoo("run", recipe, "--out", out).code == 0
    after = [json.loads(line) for line in (stage_of(out) / "metrics.jsonl").read_text().splitlines()]
    # what was logged before the checkpoint stands as it was, with the first start's speed
    kept = [line for line in after if line in before]
    assert kept[-1]["step"] >= 10
    reference = [json.loads(line) for line in (uninterrupted / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in after] == [
        (line["step"], line["loss"]) for line in reference
    ]
    ours, theirs = (load_file(stage / "model/model.safetensors") for stage in (stage_of(out), uninterrupted))
    assert ours.keys() == theirs.keys()
    for name, weights in ours.items():
        assert weights.equal(theirs[name]), name
