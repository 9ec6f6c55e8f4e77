"""``kdzoo runs`` as its user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import EVALUATE, KID, SFT, MadeRun

from kdzoo.commands.runs import size_text

Command = Callable[..., Any]

ANSWERS = {"sft": {"embedded": {"ex": [0.0] * 10}}, "kid": {"embedded": {"ex": [1.0] * 8 + [0.0] * 2}}}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder "runs" in the working directory: a finished run, and one that has failed in its second stage."""
    monkeypatch.chdir(tmp_path)
    one = MadeRun([SFT, KID, EVALUATE], ANSWERS).write(Path("runs/one-1"))
    two = MadeRun([SFT, EVALUATE], unfinished=["evaluate"], status="failed").write(Path("runs/two-2"))
    for run in (one, two):
        (run / "sft/model").mkdir()
        checkpoint = run / "sft/checkpoints/checkpoint-1"
        checkpoint.mkdir(parents=True)
        (checkpoint / "optimizer.pt").write_bytes(bytes(4000))
    (one / "kid/model").mkdir()
    (two / "evaluate/fingerprint").touch()
    (two / "evaluate/checkpoints").mkdir()
    (two / "evaluate/checkpoints/x").write_bytes(bytes(700))
    return Path("runs")


def test_they_are_listed_with_what_each_has_come_to(kdzoo: Command, runs: Path) -> None:
    done = kdzoo("runs")
    assert (done.code, done.err) == (0, "")
    heading, *rows, total = done.out.splitlines()
    assert heading.split() == ["run", "recipe", "status", "scores", "size", "checkpoints", "written"]
    rows = sorted(rows)
    assert rows[0].split()[:3] == ["runs/one-1", "source", "finished"]
    assert "sft EX 0.0%, kid EX 80.0%" in rows[0]
    assert "failed (1 of 2 stages)" in rows[1]
    assert "4.0 kB" in rows[0]
    assert total.endswith(" in all")


def test_programs_get_json(kdzoo: Command, runs: Path) -> None:
    found = {run["run"]: run for run in json.loads(kdzoo("runs", runs, "--json").out)}
    one = found["runs/one-1"]
    assert one["scores"]["kid"] == {"embedded": {"ex": 0.8}}
    assert one["stages"] == {"finished": 3, "of": 3}
    assert one["checkpoint_bytes"] == 4000
    assert found["runs/two-2"]["status"] == "failed"


def test_an_empty_folder_has_none(kdzoo: Command, tmp_path: Path) -> None:
    assert kdzoo("runs", tmp_path).out == "no runs\n"
    assert kdzoo("runs", tmp_path, "--json").out == "[]\n"
    missing = kdzoo("runs", tmp_path / "absent")
    assert (missing.code, missing.err) == (2, f"kdzoo: {tmp_path}/absent: there is no such folder\n")


class TestPruning:
    def test_it_says_what_it_frees(self, kdzoo: Command, runs: Path) -> None:
        planned = kdzoo("runs", "--prune", "--dry-run").out.splitlines()
        assert planned == [
            "runs/one-1/sft/checkpoints: 4.0 kB",
            "runs/two-2/sft/checkpoints: 4.0 kB",
            "would free 8.0 kB",
        ]
        assert (runs / "one-1/sft/checkpoints").is_dir()
        assert kdzoo("runs", "--prune").out.splitlines() == [*planned[:2], "freed 8.0 kB"]
        assert not (runs / "one-1/sft/checkpoints").exists()
        assert (runs / "one-1/sft/model").is_dir()
        assert kdzoo("runs", "--prune").out == "freed 0 bytes\n"

    def test_of_one_run_with_its_unfinished_stages(self, kdzoo: Command, runs: Path) -> None:
        done = kdzoo("runs", runs / "two-2", "--prune", "--unfinished")
        assert done.out.splitlines()[0] == "runs/two-2/evaluate/checkpoints: 700 bytes"
        assert (runs / "one-1/sft/checkpoints").is_dir()

    @pytest.mark.parametrize("flags", [["--dry-run"], ["--unfinished"], ["--prune", "--json"]])
    def test_flags_that_do_not_go_together_are_refused(
        self, kdzoo: Command, runs: Path, flags: list[str]
    ) -> None:
        done = kdzoo("runs", *flags)
        assert done.code == 2
        assert "Error: " in done.err


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (2_345_678_901, "2.3 GB"), (5e15, "5000.0 TB")],
)
def test_sizes_are_for_people(size: float, text: str) -> None:
    assert size_text(size) == text


def test_torch_is_not_needed(runs: Path) -> None:
    code = (
        "import sys\nfrom kdzoo.cli import main\nsys.argv = ['kdzoo', 'runs', sys.argv[1]]\nmain()\n"
        "sys.exit(len({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(runs)], check=False, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert "kid EX 80.0%" in done.stdout
