"""What is kept of runs beside the page that reports them: all that `kdzoo compare` needs, and none of the data's texts."""

from __future__ import annotations

import json
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_runs import EVALUATE, KID, SFT, MadeRun

from kdzoo.commands.compare import command

RECIPES = Path(__file__).parents[2] / "recipes" / "replication"
Gather = Callable[[list[Path], Path], None]

HEAD = """
student_seed = {seed}
[data]
kind = "spider"
path = "/home/someone/data/spider"
[teacher]
path = "/home/someone/models/big"
[student]
path = "/home/someone/models/small"
"""


@pytest.fixture
def gather() -> Gather:
    found: Gather = runpy.run_path(str(RECIPES / "gather.py"))["gather"]
    return found


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two runs that differ in their student seed; the second has taken the first one's student by SFT."""
    return [write_run(tmp_path / f"run_{seed}", seed) for seed in (1, 2)]


def write_run(run: Path, seed: int) -> Path:
    right = {"sft": [i < 3 for i in range(20)], "kid": [i < 9 + seed for i in range(20)]}
    MadeRun(
        [SFT, KID, EVALUATE],
        {name: {"spider": {"ex": of}} for name, of in right.items()},
        logs={name: [{"step": 1, "loss": 2.5}] for name in right},
        head=HEAD.format(seed=seed),
        question="SECRET how many?",
        gold="SELECT secret",
    ).write(run)
    for name in right:
        (run / name / "model").mkdir()
        (run / name / "model" / "model.safetensors").write_bytes(b"weights")
    if seed == 2:
        shutil.rmtree(run / "sft")
        (run / "sft").symlink_to("../run_1/sft")
    described = json.loads((run / "run.json").read_text())
    described |= {"student_seed": seed, "machine": {"system": "my laptop"}}
    described["stages"] = {name: {"status": "finished"} for name in ("sft", "kid", "evaluate")}
    (run / "run.json").write_text(json.dumps(described))
    return run


def compared(*runs: Path) -> str:
    result = CliRunner().invoke(command, [str(run) for run in runs])
    assert result.exit_code == 0, result.output
    return result.output


def test_what_is_gathered_compares_as_the_runs_do(gather: Gather, runs: list[Path], tmp_path: Path) -> None:
    gather(runs, tmp_path / "kept")
    said = compared(tmp_path / "kept" / "seed_1", tmp_path / "kept" / "seed_2")
    assert said == compared(*runs)
    assert "kid against sft, EX: +37.5 points on 20 questions" in said


def test_neither_models_nor_the_data_s_texts_nor_paths_are_kept(
    gather: Gather, runs: list[Path], tmp_path: Path
) -> None:
    gather(runs, tmp_path / "kept")
    files = [file for file in (tmp_path / "kept").rglob("*") if file.is_file()]
    assert {file.name for file in files} == {
        "run.json", "recipe.toml", "stage.json", "scores.json", "metrics.jsonl", "predictions.jsonl"
    }  # fmt: skip
    texts = [file.read_text() for file in files]
    for text in ("SECRET", "SELECT secret", "/home/someone", "my laptop"):
        assert not any(text in of for of in texts)


def test_a_shared_stage_is_kept_once_and_gathering_again_changes_nothing(
    gather: Gather, runs: list[Path], tmp_path: Path
) -> None:
    gather(runs, tmp_path / "kept")
    shared = tmp_path / "kept" / "seed_2" / "sft"
    assert (shared.is_symlink(), shared.readlink()) == (True, Path("../seed_1/sft"))
    before = {file: file.read_bytes() for file in (tmp_path / "kept").rglob("*") if file.is_file()}
    gather(runs, tmp_path / "kept")
    assert {file: file.read_bytes() for file in (tmp_path / "kept").rglob("*") if file.is_file()} == before
