"""Folders of runs as runs leave them, made of given answers: for tests of what is read from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from kdzoo.recipe import load_recipe, resolved_toml
from kdzoo.report.comparison import Comparison, Row

HEAD = """\
[data]
kind = "embedded"
[tokenizer]
path = "t"
[teacher]
path = "t"
[student]
path = "s"
"""

FINETUNE = 'kind = "finetune"'
SFT = 'kind = "distill"\nmethod = "sft"'
KID = 'kind = "distill"\nmethod = "kid"'
EVALUATE = 'kind = "evaluate"'


def kid(alpha: float) -> str:
    return f"{KID}\noptions = {{ alpha = {alpha} }}"


def ex(**models: Sequence[float]) -> dict[str, Any]:
    """Answers of models on one set, judged by execution."""
    return {model: {"embedded": {"ex": values}} for model, values in models.items()}


def row(comparison: Comparison, label: str) -> Row:
    """A model's row of a comparison."""
    return next(row for row in comparison.rows if row.label == label)


@dataclass
class MadeRun:
    """What a run measured. ``answers`` are each model's values by set and metric, one for each question; ``results`` and
    ``logs`` those of training stages. Stages in ``unfinished`` left no stage.json. ``fingerprints`` say what stages of
    several runs are the same; unless given, none are.
    """

    stages: Sequence[str]
    answers: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]] = field(default_factory=dict)
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    logs: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    unfinished: Sequence[str] = ()
    seed: int = 0
    head: str = HEAD
    status: str = "finished"
    question: str = "How many of {n}?"
    gold: str = "SELECT {n}"
    prediction: str = "SELECT {n} FROM {model}"

    def write(self, folder: Path) -> Path:
        """Write the run's folder."""
        folder.mkdir(parents=True)
        source = folder / "source.toml"
        text = f"seed = {self.seed}\n{self.head}\n" + "\n".join(f"[[stage]]\n{s}" for s in self.stages)
        source.write_text(text, encoding="utf-8")
        recipe = load_recipe(source)
        source.unlink()
        (folder / "recipe.toml").write_text(resolved_toml(recipe), encoding="utf-8")
        _write_json(folder / "run.json", {"recipe": recipe.name, "seed": self.seed, "status": self.status})
        for stage in recipe.stages:
            (folder / stage.name).mkdir()
            results = (
                self._evaluated(recipe.models_of(stage))
                if stage.role is None
                else dict(self.results.get(stage.name, {}))
            )
            if stage.role is None:
                _write_lines(
                    folder / stage.name / "predictions.jsonl", self._predictions(recipe.models_of(stage))
                )
                _write_json(folder / stage.name / "scores.json", results["models"])
            else:
                _write_lines(folder / stage.name / "metrics.jsonl", self.logs.get(stage.name, []))
            if stage.name not in self.unfinished:
                record = {
                    "name": stage.name,
                    "kind": stage.kind,
                    "fingerprint": self.fingerprints.get(stage.name, f"{folder}/{stage.name}"),
                    "seconds": 1.0,
                    "results": results,
                }
                _write_json(folder / stage.name / "stage.json", record)
        return folder

    def _evaluated(self, models: Sequence[str]) -> dict[str, Any]:
        return {"models": {model: self._model(model) for model in models if model in self.answers}}

    def _model(self, model: str) -> dict[str, Any]:
        sets = {
            name: {
                "examples": max((len(values) for values in of.values()), default=0),
                "generation_seconds": 1.0,
                "scores": {metric: fmean(values) for metric, values in of.items()}
                | {metric: details.get("score") for metric, details in self.details.get(model, {}).items()},
                "details": dict(self.details.get(model, {})),
            }
            for name, of in self.answers[model].items()
        }
        return {"parameters": 1000, "sets": sets}

    def _predictions(self, models: Sequence[str]) -> list[dict[str, Any]]:
        lines = []
        for model in models:
            for name, of in self.answers.get(model, {}).items():
                for n in range(max((len(values) for values in of.values()), default=0)):
                    values = {metric: found[n] for metric, found in of.items()}
                    words = {"n": n, "model": model}
                    line = {
                        "model": model,
                        "set": name,
                        "id": f"{name}-{n}",
                        "database": "d",
                        "question": self.question.format(**words),
                        "prompt": "p " * 100,
                        "gold": self.gold.format(**words),
                        "prediction": self.prediction.format(**words),
                        **{metric: bool(v) if v in (0, 1) else v for metric, v in values.items()},
                        "error": None if all(values.values()) else "no such column: x",
                    }
                    lines.append(line)
        return lines


def _write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")


def _write_lines(file: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
