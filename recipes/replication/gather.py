"""Gather what runs measured into one folder, small enough to be kept beside a page that reports it.

    python recipes/replication/gather.py FOLDER RUN...

Each run becomes FOLDER/seed_N with its recipe, scores, losses and predictions, without models and checkpoints, without the
data's questions, prompts and gold SQL, and without the machine's paths. A stage that runs share is kept once and linked.
`kdzoo compare FOLDER/seed_*` shows the same scores, tests and times as for the runs themselves.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from kdzoo.recipe import load_recipe
from kdzoo.report.run_files import read_lines
from kdzoo.runs.export.shared_recipe import without_places

KEPT_OF_A_STAGE = ("stage.json", "scores.json", "metrics.jsonl")
KEPT_OF_AN_ANSWER = ("model", "set", "id", "database", "prediction", "error")


def gather(runs: list[Path], folder: Path) -> None:
    """Write ``folder``/seed_N for each run, N being its student seed; files that are there are replaced."""
    kept: dict[Path, Path] = {}
    for run in runs:
        described = json.loads((run / "run.json").read_text(encoding="utf-8"))
        to = folder / f"seed_{described['student_seed']}"
        to.mkdir(parents=True, exist_ok=True)
        described.pop("machine")
        (to / "run.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        # beside all runs' folders, and so the same for each
        recipe = without_places(load_recipe(run / "recipe.toml"), beside="..")
        (to / "recipe.toml").write_text(recipe, encoding="utf-8")
        for name in described["stages"]:
            stage = (run / name).resolve()
            if stage not in kept:
                kept[stage] = to / name
                keep_stage(stage, to / name)
            elif not (to / name).exists():
                (to / name).symlink_to(Path("..") / kept[stage].relative_to(folder))


def keep_stage(stage: Path, to: Path) -> None:
    to.mkdir(exist_ok=True)
    for name in KEPT_OF_A_STAGE:
        if (stage / name).is_file():
            (to / name).write_bytes((stage / name).read_bytes())
    predictions = stage / "predictions.jsonl"
    if predictions.is_file():
        lines = [json.dumps(without_data(answer)) + "\n" for answer in read_lines(predictions)]
        (to / predictions.name).write_text("".join(lines), encoding="utf-8")


def without_data(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without the data's texts: what names its question, what the model said, and its scores."""
    return {
        key: value
        for key, value in answer.items()
        if key in KEPT_OF_AN_ANSWER or isinstance(value, (bool, int, float))
    }


if __name__ == "__main__":
    to, *of = map(Path, sys.argv[1:])
    gather(of, to)
