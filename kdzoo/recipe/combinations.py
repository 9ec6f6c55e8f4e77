"""Combinations of settings that are each right and together impossible."""

from __future__ import annotations

from collections.abc import Iterator

from kdzoo import registry
from kdzoo.recipe.lines import Key
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.stages import DistillStage, EvaluateStage, FinetuneStage

Problem = tuple[Key, str]

_SQL_METRICS = {"ex", "ts"}
_TEXT_METRICS = {"exact_match", "rouge_l"}


def impossible_combinations(recipe: Recipe) -> Iterator[Problem]:
    """Give each problem as the key that shows it and a message."""
    yield from _models(recipe)
    seen: dict[str, int] = {}
    for index, stage in enumerate(recipe.stages):
        if stage.name in seen:
            hint = "; give one of them a name of its own"
            yield ("stage", index, "name"), f"another stage is called {stage.name!r} already{hint}"
        if stage.name in ("teacher", "student", "tokenizer"):
            yield ("stage", index, "name"), f"{stage.name!r} names something else in a run; choose another name"
        if isinstance(stage, FinetuneStage):
            yield from _finetune(recipe, index, stage)
        elif isinstance(stage, DistillStage):
            yield from _distill(recipe, index, stage, seen)
        else:
            yield from _evaluate(recipe, index, stage, seen)
        seen.setdefault(stage.name, index)


def _models(recipe: Recipe) -> Iterator[Problem]:
    for role, model in (("teacher", recipe.teacher), ("student", recipe.student)):
        if model is not None and model.from_scratch is not None and recipe.tokenizer is None:
            yield (
                (role, "from_scratch"),
                "a model from scratch needs a [tokenizer], for example train = { vocab_size = 2000 }",
            )


def _finetune(recipe: Recipe, index: int, stage: FinetuneStage) -> Iterator[Problem]:
    if stage.model == "teacher" and recipe.teacher is None:
        yield ("stage", index, "model"), "the recipe has no [teacher] to finetune"
    if registry.find(stage.method).method.uses_teacher:
        yield (
            ("stage", index, "method"),
            f"the method {stage.method!r} needs a teacher; a finetune stage has none, use a distill stage",
        )


def _distill(recipe: Recipe, index: int, stage: DistillStage, seen: dict[str, int]) -> Iterator[Problem]:
    if registry.find(stage.method).method.uses_teacher and recipe.teacher is None:
        yield ("stage", index, "method"), f"the method {stage.method!r} needs a teacher, and the recipe has no [teacher]"
    for key, name, role in (
        ("student_from", stage.student_from, "student"),
        ("teacher_from", stage.teacher_from, "teacher"),
    ):
        if name is None:
            continue
        earlier = recipe.stages[seen[name]] if name in seen else None
        trained = None
        if isinstance(earlier, FinetuneStage):
            trained = earlier.model
        elif isinstance(earlier, DistillStage):
            trained = "student"
        if trained is None:
            yield ("stage", index, key), f"no stage {name!r} before this one trains a model"
        elif trained != role:
            yield ("stage", index, key), f"the stage {name!r} trains the {trained}, not the {role}"


def _evaluate(recipe: Recipe, index: int, stage: EvaluateStage, seen: dict[str, int]) -> Iterator[Problem]:
    names = recipe.models_of(stage)
    if not names:
        yield ("stage", index, "models"), "no stage before this one trains a model, and models names none"
    for name in names:
        if name in ("teacher", "student"):
            if name == "teacher" and recipe.teacher is None:
                yield ("stage", index, "models"), "the recipe has no [teacher] to evaluate"
            continue
        if name not in seen or isinstance(recipe.stages[seen[name]], EvaluateStage):
            known = [n for n in seen if not isinstance(recipe.stages[seen[n]], EvaluateStage)]
            yield (
                ("stage", index, "models"),
                f"no stage {name!r} before this one trains a model; there are {', '.join(['teacher', 'student', *known])}",
            )
    evaluation = recipe.evaluation_of(stage)
    text = recipe.data.kind == "jsonl"
    for metric in evaluation.metrics:
        if metric in (_SQL_METRICS if text else _TEXT_METRICS):
            yield ("stage", index, "evaluation"), f"the metric {metric!r} does not fit the data kind {recipe.data.kind!r}"
        if metric == "ts" and recipe.data.kind == "bird":
            yield ("stage", index, "evaluation"), "BIRD has no test suites: the metric 'ts' does not fit"
        if metric == "exaccerr" and recipe.teacher is None:
            yield ("stage", index, "evaluation"), "the metric 'exaccerr' needs a [teacher]"
