"""What a run would train on and score, in lines: the part of a dry run that is about data."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kdzoo.recipe import EvaluateStage, Recipe, ScoredSet, scored_sets_of
from kdzoo.recipe.sets import dataset_of
from kdzoo.tasks.dataset import DataConfig
from kdzoo.tasks.example import Splits

# Gives the examples of a dataset's table, None where its files are not there.
Read = Callable[[DataConfig], Splits | None]


def scored_sets(recipe: Recipe) -> list[ScoredSet]:
    """The evaluation sets that any stage scores, each once."""
    found: dict[str, ScoredSet] = {}
    for stage in recipe.stages:
        found |= {scored.name: scored for scored in scored_sets_of(recipe, stage)}
    return list(found.values())


def data_lines(recipe: Recipe, read: Read) -> Iterator[str]:
    """A line for each dataset that is trained on and each set that is scored, with the number of its questions."""
    trained: dict[str | None, DataConfig] = {}
    for stage in recipe.stages:
        if stage.role is not None:
            trained[stage.data] = recipe.training_data_of(stage)
    for name, data in trained.items():
        splits = read(data)
        count = _missing(data) if splits is None else f"{len(splits.train)} training questions"
        yield f"data     {_titled(name, data.kind)}: {count}"
    for scored in scored_sets(recipe):
        splits = read(scored.data)
        count = _missing(scored.data) if splits is None else f"{len(splits.evaluation)} evaluation questions"
        described = recipe.evaluation_sets.get(scored.name)
        of = "" if described is None else f" ({_titled(described.data, scored.data.kind)})"
        yield f"set      {scored.name}{of}: {count}"


def scoring_lines(recipe: Recipe, stage: EvaluateStage, read: Read) -> list[str]:
    """What an evaluate stage does: its models, and a line for each set."""
    lines = [f"models {', '.join(recipe.models_of(stage))}; greedy decoding"]
    for scored in recipe.sets_of(stage):
        lines.append(
            f"set {scored.name}: {_questions(scored, read)} questions; metrics {', '.join(scored.evaluation.metrics)}"
        )
    return lines


def _questions(scored: ScoredSet, read: Read) -> str:
    splits, most = read(scored.data), scored.evaluation.max_examples
    if splits is not None:
        return str(len(splits.evaluation[:most]))
    return "all" if most is None else f"at most {most}"


def _titled(name: str | None, kind: str) -> str:
    return kind if name is None else f"{name}, {kind}"


def _missing(data: DataConfig) -> str:
    (_, path), *_ = dataset_of(data).missing(data)
    return f"{path} is not there; --rehearse runs without it"
