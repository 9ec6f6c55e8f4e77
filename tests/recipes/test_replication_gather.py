"""What is kept of runs beside the page that reports them: all that `kdzoo compare` needs, and none of the data's texts."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from kdzoo.commands.compare import command

RECIPES = Path(__file__).parents[2] / "recipes" / "replication"
Gather = Callable[[list[Path], Path], None]

RECIPE = """
name = "two"
student_seed = {seed}
[data]
kind = "spider"
path = "/home/someone/data/spider"
[teacher]
path = "/home/someone/models/big"
[student]
path = "/home/someone/models/small"
[[stage]]
kind = "distill"
method = "sft"
[[stage]]
kind = "distill"
method = "kid"
[[stage]]
kind = "evaluate"
models = ["sft", "kid"]
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
    run.mkdir()
    (run / "recipe.toml").write_text(RECIPE.format(seed=seed))
    for name in ("sft", "kid"):
        if seed == 2 and name == "sft":
            (run / name).symlink_to("../run_1/sft")
            continue
        (run / name / "model").mkdir(parents=True)
        (run / name / "model" / "model.safetensors").write_bytes(b"weights")
        (run / name / "metrics.jsonl").write_text('{"step": 1, "loss": 2.5}\n')
        write_stage(run / name, {"method": name, "steps": 1, "training_seconds": 3.0, "step_seconds": 3.0})
    (run / "evaluate").mkdir()
    right = {"sft": [i < 3 for i in range(20)], "kid": [i < 9 + seed for i in range(20)]}
    scores = {
        name: {"parameters": 5, "sets": {"spider": {"scores": {"ex": sum(of) / 20}, "details": {}}}}
        for name, of in right.items()
    }
    write_stage(run / "evaluate", {"models": scores})
    (run / "evaluate" / "scores.json").write_text(json.dumps(scores))
    lines = [
        {"model": name, "set": "spider", "id": f"q{i}", "database": "d", "question": "SECRET how many?"}
        | {"prompt": "SECRET", "gold": "SELECT secret", "prediction": "select 1", "ex": ex, "error": None}
        for name, of in right.items()
        for i, ex in enumerate(of)
    ]
    (run / "evaluate" / "predictions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    described = {
        "student_seed": seed,
        "status": "finished",
        "versions": {},
        "machine": {"system": "my laptop"},
    }
    described["stages"] = {name: {"status": "finished"} for name in ("sft", "kid", "evaluate")}
    (run / "run.json").write_text(json.dumps(described))
    return run


def write_stage(stage: Path, results: dict[str, object]) -> None:
    fingerprint = stage.parent.name + stage.name
    (stage / "stage.json").write_text(json.dumps({"fingerprint": fingerprint, "results": results}))


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
