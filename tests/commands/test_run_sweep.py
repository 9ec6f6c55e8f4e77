"""``kdzoo run`` of a recipe that stands for several: what is shared is done once, however the members are run."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.forked import Forked

Command = Callable[..., Any]
Write = Callable[..., Path]

COMMAND = [sys.executable, "-m", "kdzoo", "run"]
GRID = "[sweep]\nstudent_seed = [1, 2]\nkid.options.alpha = [0.1, 0.5]\n"
_PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def text(tiny: str) -> str:
    """A recipe of which many members can be run."""
    text = tiny.replace("output_limit = 64", "output_limit = 48").replace("max_steps = 3", "max_steps = 2")
    return f"threads = 1\n{text}[evaluation]\nmax_examples = 4\n{GRID}"


@pytest.fixture(scope="module")
def in_turn(kdzoo: Command, text: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A sweep whose members were run one after the other: the recipe, beside its runs, and what was printed."""
    recipe = tmp_path_factory.mktemp("sweep") / "r.toml"
    recipe.write_text(text)
    return recipe, kdzoo("run", recipe, "--out", recipe.parent / "runs")


def note_of(out: Path) -> tuple[Path, dict[str, Any]]:
    """A sweep's folder and what it notes."""
    (folder,) = out.glob("*-sweep-*")
    return folder, json.loads((folder / "sweep.json").read_text())


def runs_of(out: Path) -> list[Path]:
    return sorted(path for path in out.iterdir() if (path / "run.json").exists())


def trained(out: Path, stage: str) -> list[Path]:
    """The folders in which a stage was done, and not only linked to."""
    return [run / stage for run in runs_of(out) if not (run / stage).is_symlink()]


def scores(out: Path) -> dict[str, Any]:
    """All that an evaluation says of each run, but for its time."""
    return {
        run.name: (
            re.sub(r'"generation_seconds": [\d.e-]+', "", (run / "evaluate/scores.json").read_text()),
            (run / "evaluate/predictions.jsonl").read_text(),
        )
        for run in runs_of(out)
    }


class TestOneAfterTheOther:
    def test_each_member_is_an_ordinary_run(self, in_turn: tuple[Path, Any]) -> None:
        recipe, done = in_turn
        assert (done.code, done.err) == (0, "")
        out = recipe.parent / "runs"
        folder, note = note_of(out)
        assert note["keys"] == ["student_seed", "kid.options.alpha"]
        for member in note["members"]:
            run = (folder / member["run"]).resolve()
            assert (
                json.loads((run / "run.json").read_text())["student_seed"] == member["values"]["student_seed"]
            )
            resolved = (run / "recipe.toml").read_text()
            assert f"alpha = {member['values']['kid.options.alpha']}\n" in resolved
            assert "sweep" not in resolved
        assert len(runs_of(out)) == 4

    def test_what_they_have_in_common_is_done_once(self, in_turn: tuple[Path, Any]) -> None:
        recipe, done = in_turn
        assert len(trained(recipe.parent / "runs", "finetune")) == 1
        assert len(trained(recipe.parent / "runs", "kid")) == 4
        assert done.out.count("finetune: finished before, reused from") == 3

    def test_seeds_and_options_give_other_students(self, in_turn: tuple[Path, Any]) -> None:
        weights = [
            load_file(run / "kid/model/model.safetensors") for run in runs_of(in_turn[0].parent / "runs")
        ]
        name = "model.embed_tokens.weight"
        assert not any(a[name].equal(b[name]) for n, a in enumerate(weights) for b in weights[:n])

    def test_it_ends_with_what_to_do_next(self, in_turn: tuple[Path, Any]) -> None:
        recipe, done = in_turn
        folder, _ = note_of(recipe.parent / "runs")
        assert done.out.splitlines()[-2:] == [
            f"results: {folder}",
            f"next: kdzoo compare {folder} --html {folder}/page.html",
        ]

    def test_quiet_says_whose_tables_it_prints(self, kdzoo: Command, in_turn: tuple[Path, Any]) -> None:
        recipe, _ = in_turn
        done = kdzoo("run", recipe, "--out", recipe.parent / "runs", "--quiet")
        names = [line.split()[0] for line in done.out.splitlines()]
        assert names == [
            name for n in (1, 1, 2, 2) for name in (f"student_seed={n}", "model", "teacher", "kid")
        ]

    def test_a_member_that_fails_does_not_stop_the_others(
        self, kdzoo: Command, write: Write, text: str
    ) -> None:
        sweep = "[sweep]\nstudent.from_scratch.num_attention_heads = [5, 4]\n"
        done = kdzoo("run", write(text.replace(GRID, sweep)), "--jobs", "1")
        assert done.code == 1
        summary = done.err[done.err.index("kdzoo: 1 of 2 members failed:\n") :].splitlines()
        assert summary[1].startswith("num_attention_heads=5: r.toml:")
        assert "student.from_scratch: llama does not accept these settings" in summary[1]
        (run,) = runs_of(Path("runs"))
        assert json.loads((run / "run.json").read_text())["status"] == "finished"
        assert f"results: {run}" in done.out


class TestSideBySide:
    def test_it_gives_the_same(self, in_turn: tuple[Path, Any], tmp_path: Path) -> None:
        recipe, _ = in_turn
        done = subprocess.run(
            [*COMMAND, recipe, "--out", tmp_path / "runs", "--jobs", "2", "--set", "kid.options.alpha=0.5"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        side_by_side, in_turn_s = scores(tmp_path / "runs"), scores(recipe.parent / "runs")
        assert len(side_by_side) == 2
        assert side_by_side.items() <= in_turn_s.items()
        assert len(trained(tmp_path / "runs", "finetune")) == 1
        assert done.stdout.count("finetune: 0/2") == 1
        assert re.search(r"^\[student_seed=2\] kid +\d", done.stdout, re.MULTILINE)
        assert list((tmp_path / "runs").rglob("*.tmp")) == []

    def test_two_processes_that_begin_at_once_do_not_train_the_teacher_twice(
        self, kdzoo: Command, in_turn: tuple[Path, Any], tmp_path: Path
    ) -> None:
        """As two jobs of a scheduler: each runs a line that --print-jobs printed."""
        recipe, _ = in_turn
        printed = kdzoo(
            "run",
            recipe,
            "--out",
            tmp_path / "my runs",
            "--seeds",
            "3,4",
            "--print-jobs",
            "--set",
            "kid.options.alpha=0.5",
        )
        assert (printed.code, printed.err) == (0, "")
        lines = printed.out.splitlines()
        assert len(lines) == 2
        assert not (tmp_path / "my runs").exists()
        words = [shlex.split(line) for line in lines]
        jobs = [Forked(line[line.index("run") :]) for line in words]
        told = [job.communicate(timeout=_PATIENCE_SECONDS)[0] for job in jobs]
        assert [job.returncode for job in jobs] == [0, 0]
        assert len(trained(tmp_path / "my runs", "finetune")) == 1
        assert "".join(told).count("finetune: 0/2") == 1
        assert "".join(told).count("finetune: finished before, reused from") == 1
        assert len(runs_of(tmp_path / "my runs")) == 2

    def test_ctrl_c_lets_all_write_their_checkpoints(self, in_turn: tuple[Path, Any], tmp_path: Path) -> None:
        text = in_turn[0].read_text().replace("max_steps = 2", "max_steps = 5000\nlogging_steps = 1")
        text = text.replace('[[stage]]\nkind = "finetune"\n', "").split('[[stage]]\nkind = "evaluate"')[0]
        (tmp_path / "r.toml").write_text(text + "[sweep]\nstudent_seed = [1, 2]\n")
        out = tmp_path / "runs"
        process = subprocess.Popen(
            [*COMMAND, tmp_path / "r.toml", "--out", out, "--jobs", "2"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while len([f for f in out.glob("*/kid/metrics.jsonl") if f.stat().st_size]) < 2:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            os.killpg(process.pid, signal.SIGINT)
            printed, told = process.communicate(timeout=_PATIENCE_SECONDS)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 130
        again = shlex.join([*COMMAND, str(tmp_path / "r.toml"), "--out", str(out), "--jobs", "2"])
        assert told.splitlines()[-1] == f"kdzoo: interrupted; this continues it: {again}"
        for run in runs_of(out):
            assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
            last = json.loads((run / "kid/metrics.jsonl").read_text().splitlines()[-1])["step"]
            assert (run / f"kid/checkpoints/checkpoint-{last}/trainer_state.json").exists()
        assert len(re.findall(r"^\[student_seed=\d\] kid: ended after step \d+ of 5000", printed, re.M)) == 2


class TestDryRun:
    def test_shows_the_members_their_runs_and_what_they_share(
        self, kdzoo: Command, in_turn: tuple[Path, Any], tmp_path: Path
    ) -> None:
        recipe, _ = in_turn
        done = kdzoo("run", recipe, "--out", tmp_path / "runs", "--dry-run")
        assert (done.code, done.err) == (0, "")
        folder, note = note_of(recipe.parent / "runs")
        assert f"folder   {tmp_path / 'runs' / folder.name}" in done.out.splitlines()
        for member in note["members"]:
            seed, alpha = member["values"].values()
            run = tmp_path / "runs" / Path(member["run"]).name
            assert f"   student_seed={seed} alpha={alpha}  {run}" in done.out.splitlines()
        assert "   finetune: once for 4 members\n   kid: 4 times for 4 members\n" in done.out
        assert "\n1. finetune (finetune)\n" in done.out
        assert not (tmp_path / "runs").exists()

    def test_checks_all_members_as_their_runs_would_be(self, kdzoo: Command, write: Write, text: str) -> None:
        sweep = "[sweep]\nstudent.from_scratch.num_attention_heads = [4, 5]\n"
        done = kdzoo("run", write(text.replace(GRID, sweep)), "--dry-run")
        assert done.code == 2
        assert done.err.startswith("kdzoo: num_attention_heads=5: r.toml:")
        assert "student.from_scratch" in done.err


class TestMethodsAndSeeds:
    def test_they_are_shown(self, kdzoo: Command, write: Write, tiny: str) -> None:
        done = kdzoo("run", write(tiny), "--methods", "sft,rkd,kid", "--seeds", "1,2", "--dry-run")
        assert (done.code, done.err) == (0, "")
        assert "student_seed: 2 members" in done.out
        assert re.findall(r"^\d\. (\w+) \(", done.out, re.M) == ["finetune", "sft", "rkd", "kid", "evaluate"]
        assert "models teacher, sft, rkd, kid; greedy decoding" in done.out
        assert "set embedded: 10 questions; metrics ex" in done.out

    def test_each_member_s_command_line_has_them(self, kdzoo: Command, write: Write, tiny: str) -> None:
        done = kdzoo(
            "run", write(tiny), "--methods", "sft,rkd", "--seeds", "1,2", "--print-jobs", "--rehearse"
        )
        tails = [line.split(" run ", 1)[1] for line in done.out.splitlines()]
        assert tails == [
            f"r.toml --set student_seed={seed} --methods sft,rkd --out runs --rehearse" for seed in (1, 2)
        ]

    def test_a_rehearsal_runs_them(self, kdzoo: Command, write: Write, tiny: str) -> None:
        done = kdzoo("run", write(tiny), "--methods", "sft,kid", "--seeds", "1,2", "--rehearse")
        assert (done.code, done.err) == (0, "")
        assert len(runs_of(Path("runs"))) == 2
        assert len(trained(Path("runs"), "finetune")) == 1
        folder, _ = note_of(Path("runs"))
        assert folder.name.startswith("tiny-rehearsal-sweep-")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--methods", "sft,kdi"), "--methods sft,kdi: no method 'kdi' is installed; did you mean"),
            (("--seeds", "1,a"), "--seeds 1,a: write whole numbers with a comma between them"),
            (("--seeds", "1,-2"), "--seeds 1,-2: must be at least 0"),
            (("--set", "sweep.seed=[1,2]"), '--set sweep.seed=[1,2]: no stage or table "sweep"'),
        ],
    )
    @pytest.mark.parametrize("also", [(), ("--dry-run",), ("--rehearse",), ("--print-jobs",)])
    def test_mistakes_are_told_before_anything_runs(
        self,
        kdzoo: Command,
        write: Write,
        tiny: str,
        arguments: tuple[str, ...],
        message: str,
        also: tuple[str, ...],
    ) -> None:
        done = kdzoo("run", write(tiny), *arguments, *also)
        assert (done.code, done.out) == (2, "")
        (line,) = done.err.splitlines()
        assert line.startswith(f"kdzoo: {message}")
        assert not Path("runs").exists()


def test_a_recipe_without_a_sweep_is_one_job(kdzoo: Command, write: Write, tiny: str) -> None:
    done = kdzoo("run", write(tiny), "--print-jobs", "--out", "my runs", "--quiet")
    (line,) = done.out.splitlines()
    assert line.endswith("-m kdzoo run r.toml --out 'my runs' --quiet")
