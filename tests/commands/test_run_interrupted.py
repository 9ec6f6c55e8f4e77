"""A run that is stopped, by Ctrl-C or by force, continues when it is started again, and ends in the same weights."""

from __future__ import annotations

import json
import os
import pty
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from kdzoo.report.progress import Reporter
from tests.forked import Forked

Command = Callable[..., Any]

COMMAND = [sys.executable, "-c", "from kdzoo.cli import main; main()"]

_PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def recipe(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe whose student has dropout, and whose training takes long enough to be stopped in its middle."""
    text = tiny.replace("max_steps = 3", "max_steps = 30\nsave_steps = 6\nlogging_steps = 1")
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
def started(recipe: Path, out: Path) -> Iterator[Forked]:
    """A run in a process group of its own, as a terminal starts it, in the middle of its training."""
    process = Forked(["run", recipe, "--out", out])
    try:
        wait_for_checkpoint(out, lambda: process.poll() is None)
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_checkpoint(out: Path, is_running: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not list(out.glob("tiny-*/kid/checkpoints/checkpoint-1[28]/trainer_state.json")):
        assert is_running()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_ctrl_c_is_told_in_one_line_and_loses_no_step(
    recipe: Path, uninterrupted: Path, kdzoo: Command
) -> None:
    out = recipe.parent / "ctrl-c"
    with started(recipe, out) as process:
        os.killpg(process.pid, signal.SIGINT)
        printed, told = process.communicate(timeout=_PATIENCE_SECONDS)
    assert process.returncode == 130
    assert told.strip().splitlines() == [
        "kdzoo: ends after this step, with a checkpoint; once more to end at once",
        f"kdzoo: interrupted; this continues it: kdzoo run {recipe} --out {out}",
    ]
    step = checkpoint_after(out)
    assert printed.splitlines()[-1] == f"kid: ended after step {step} of 30, with a checkpoint of it"
    planned = kdzoo("run", recipe, "--out", out, "--dry-run").out
    assert f"to do: continues after step {step} of 30" in planned
    continued = continues_and_ends_as(uninterrupted, recipe, out, kdzoo).splitlines()
    assert f"kid: continues after step {step} of 30" in continued
    assert f"kid: {step}/30" in continued


def checkpoint_after(out: Path) -> int:
    """The step of the latest checkpoint of an interrupted run, which is the last one that was taken."""
    latest, before = sorted(stage_of(out).glob("checkpoints/*"), key=step_of, reverse=True)
    checkpoint = latest
    assert step_of(before) % 6 == 0
    lines = [json.loads(line) for line in (stage_of(out) / "metrics.jsonl").read_text().splitlines()]
    assert checkpoint.name == f"checkpoint-{lines[-1]['step']}"
    assert json.loads((stage_of(out).parent / "run.json").read_text())["status"] == "interrupted"
    return int(lines[-1]["step"])


def test_a_lost_terminal_ends_it_in_the_same_way(recipe: Path, uninterrupted: Path, kdzoo: Command) -> None:
    out = recipe.parent / "hung-up"
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [*COMMAND, "run", str(recipe), "--out", str(out)])
    try:
        # what is printed must be read, or the process waits for it
        threading.Thread(target=drained, args=(terminal,), daemon=True).start()
        wait_for_checkpoint(out, lambda: os.waitpid(child, os.WNOHANG)[0] == 0)
        # what the system sends when the terminal is closed, with nobody left to read
        os.kill(child, signal.SIGHUP)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 129
    finally:
        os.close(terminal)
    assert 12 <= checkpoint_after(out) < 30


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])


def drained(terminal: int) -> None:
    with suppress(OSError):
        while os.read(terminal, 1024):
            pass


def test_a_process_that_is_killed_loses_nothing_before_its_last_checkpoint(
    recipe: Path, uninterrupted: Path, kdzoo: Command
) -> None:
    out = recipe.parent / "killed"
    with started(recipe, out) as process:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=_PATIENCE_SECONDS)
    assert process.returncode == -signal.SIGKILL
    assert not (stage_of(out) / "stage.json").exists()
    # the latest checkpoint has been altered since: the one before it is continued from
    latest, before = sorted(stage_of(out).glob("checkpoints/checkpoint-*"), key=step_of, reverse=True)
    weights = latest / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    printed = continues_and_ends_as(uninterrupted, recipe, out, kdzoo).splitlines()
    assert (
        f"kid: {latest.name} is damaged (model.safetensors is not what was written); it is left out, and the training "
        f"continues after step {step_of(before)}"
    ) in printed
    assert f"kid: continues after step {step_of(before)} of 30" in printed


def continues_and_ends_as(uninterrupted: Path, recipe: Path, out: Path, kdzoo: Command) -> str:
    """Start a run again, compare what it gives with one that nothing stopped, and give what it prints."""
    before = [json.loads(line) for line in (stage_of(out) / "metrics.jsonl").read_text().splitlines()]
    assert 0 < before[-1]["step"] < 30
    done = kdzoo("run", recipe, "--out", out)
    assert done.code == 0
    after = [json.loads(line) for line in (stage_of(out) / "metrics.jsonl").read_text().splitlines()]
    # what was logged before the checkpoint stands as it was, with the first start's speed
    kept = [line for line in after if line in before]
    assert kept[-1]["step"] >= 6
    reference = [json.loads(line) for line in (uninterrupted / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in after] == [
        (line["step"], line["loss"]) for line in reference
    ]
    ours, theirs = (load_file(stage / "model/model.safetensors") for stage in (stage_of(out), uninterrupted))
    assert ours.keys() == theirs.keys()
    for name, weights in ours.items():
        assert weights.equal(theirs[name]), name
    return str(done.out)


class TestASignal:
    """What schedulers and `kill` send, at any time of a run."""

    @pytest.fixture
    def send_at(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int, int], None]:
        """Let this process get a signal, once, when the reporter is told that something is so far."""
        advance = Reporter.advance
        sent: list[int] = []

        def send_at(name: str, done: int, number: int) -> None:
            def told(self: Reporter, now: int, numbers: str = "") -> None:
                advance(self, now, numbers)
                if self._name == name and now >= done and not sent:
                    sent.append(number)
                    os.kill(os.getpid(), number)

            monkeypatch.setattr(Reporter, "advance", told)

        return send_at

    @pytest.mark.parametrize(
        ("number", "name", "done", "left"),
        [
            # a step that is logged is over: the next one is the last
            (signal.SIGTERM, "finetune", 1, "continues after step 2 of 3"),
            (
                signal.SIGTERM,
                "fdistill: teacher generates",
                20,
                "continues after 20 of the teacher's generations",
            ),
            (
                signal.SIGINT,
                "fdistill: teacher generates",
                1,
                "continues after 1 of the teacher's generations",
            ),
            (signal.SIGTERM, "fdistill", 1, "continues after step 2 of 3"),
            (signal.SIGUSR1, "fdistill", 1, "continues after step 2 of 3"),
            (signal.SIGHUP, "fdistill", 2, "continues after step 3 of 3"),
            (signal.SIGTERM, "evaluate: teacher", 3, None),
            (signal.SIGTERM, "evaluate: fdistill", 3, "continues with fdistill"),
        ],
    )
    def test_ends_it_soon_and_the_next_start_continues(
        self,
        kdzoo: Command,
        write: Callable[..., Path],
        tiny: str,
        send_at: Callable[[str, int, int], None],
        monkeypatch: pytest.MonkeyPatch,
        number: int,
        name: str,
        done: int,
        left: str | None,
    ) -> None:
        recipe = write(tiny, ('method = "kid"\noptions = { alpha = 0.5 }', 'method = "fdistill"'))
        monkeypatch.setattr("kdzoo.runs.interruption._let_go_of_the_terminal", lambda: None)
        handler = signal.getsignal(number)
        send_at(name, done, number)
        ended = kdzoo("run", recipe)
        assert ended.code == 128 + number
        assert ended.err == f"kdzoo: interrupted; this continues it: kdzoo run {recipe}\n"
        assert signal.getsignal(number) == handler
        (run,) = Path("runs").glob("tiny-*")
        assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
        stage = name.split(":")[0]
        planned = kdzoo("run", recipe, "--dry-run").out.split(f". {stage} (")[1].split("\n\n")[0]
        assert planned.splitlines()[-1] == ("   to do" if left is None else f"   to do: {left}")
        again = kdzoo("run", recipe)
        assert again.code == 0
        assert [line for line in again.out.splitlines() if "continues" in line] == (
            [] if left is None else [f"{stage}: {left}"]
        )
        assert json.loads((run / "run.json").read_text())["status"] == "finished"
