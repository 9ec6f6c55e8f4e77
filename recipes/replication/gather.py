"""Gather what runs measured into one folder, small enough to be kept beside a page that reports it.

    python recipes/replication/gather.py FOLDER RUN...

Each run becomes FOLDER/seed_N with its recipe, scores, losses and predictions, without models and checkpoints, without the
data's questions, prompts and gold SQL, and without the machine's paths. A stage that runs share is kept once and linked.
`kdzoo compare FOLDER/seed_*` shows the same scores, tests and times as for the runs themselves.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

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
        recipe = (run / "recipe.toml").read_text(encoding="utf-8")
        (to / "recipe.toml").write_text(without_paths(recipe), encoding="utf-8")
        for name in described["stages"]:
            stage = (run / name).resolve()
            if stage not in kept:
                kept[stage] = to / name
                keep_stage(stage, to / name)
            elif not (to / name).exists():
                (to / name).symlink_to(Path("..") / kept[stage].relative_to(folder))


def without_paths(recipe: str) -> str:
    """The text of a recipe with the last part alone of each absolute path, beside the runs' folders and so the same for all."""
    return re.sub(r'^(\w+) = "/.*?([^/"]+)"$', r'\1 = "../\2"', recipe, flags=re.MULTILINE)


def keep_stage(stage: Path, to: Path) -> None:
    to.mkdir(exist_ok=True)
    for name in KEPT_OF_A_STAGE:
        if (stage / name).is_file():
            (to / name).write_bytes((stage / name).read_bytes())
    predictions = stage / "predictions.jsonl"
    if predictions.is_file():
        answers = [json.loads(line) for line in predictions.read_text(encoding="utf-8").splitlines()]
        lines = [json.dumps(without_data(answer)) + "\n" for answer in answers]
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
