"""Folders of runs of recipes like the paper's, as runs would leave them, without any training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STAGES = """\
[[stage]]
kind = "distill"
method = "sft"
[[stage]]
kind = "finetune"
[[stage]]
kind = "distill"
method = "kid"
[[stage]]
kind = "evaluate"
"""


def recipe_text(stages: str = STAGES, **replaced: str) -> str:
    """A recipe in the paper's settings on Spider; ``replaced`` are lines of it by their keys."""
    lines = {
        "teacher": 'path = "Qwen/Qwen1.5-1.8B"',
        "student": 'path = "Qwen/Qwen1.5-0.5B"',
        "rank": "rank = 64",
        "data": 'kind = "spider"\npath = "/data/spider"',
        "training": "epochs = 8",
        "more": "",
        "head": "seed = 0",
        **replaced,
    }
    return f"""\
name = "of-anything"
{lines["head"]}
[data]
{lines["data"]}
{lines["more"]}
[teacher]
{lines["teacher"]}
lora = {{ {lines["rank"]}, alpha = 32 }}
[student]
{lines["student"]}
lora = {{ {lines["rank"]}, alpha = 32 }}
[training]
{lines["training"]}
[evaluation]
metrics = ["ex"]
{stages}"""


def make_run(
    folder: Path, recipe: str, results: Mapping[str, Mapping[str, Any]], status: str = "finished"
) -> Path:
    """A run's folder: ``results`` are those of its finished stages by name."""
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(recipe)
    (folder / "run.json").write_text(json.dumps({"recipe": "of-anything", "status": status}))
    for name, found in results.items():
        (folder / name).mkdir()
        record = {
            "name": name,
            "kind": "any",
            "fingerprint": f"{folder}/{name}",
            "seconds": 1.0,
            "results": found,
        }
        (folder / name / "stage.json").write_text(json.dumps(record))
    return folder


def scored(examples: int = 1034, **models: Mapping[str, Mapping[str, float | None]]) -> dict[str, Any]:
    """The results of an evaluate stage: scores by model and set."""
    return {
        "models": {
            model: {
                "parameters": 1,
                "sets": {
                    name: {"examples": examples, "scores": dict(scores)} for name, scores in sets.items()
                },
            }
            for model, sets in models.items()
        }
    }


FINISHED: dict[str, Mapping[str, Any]] = {
    "sft": {"step_seconds": 0.5},
    "finetune": {"step_seconds": 0.75},
    "kid": {"step_seconds": 1.0},
    "evaluate": scored(
        sft={"spider": {"ex": 0.5}}, teacher={"spider": {"ex": 0.75}}, kid={"spider": {"ex": 0.625}}
    ),
}
