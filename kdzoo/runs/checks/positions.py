"""Limits before a run: every model that a stage runs must have positions for its prompts and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transformers import PretrainedConfig

from kdzoo.methods import registry
from kdzoo.recipe import DistillStage, EvaluateStage, FinetuneStage, Recipe, Stage
from kdzoo.recipe.places import place_of
from kdzoo.recipe.problems import Problems

_ROLES = ("teacher", "student")


def check_positions(
    recipe: Recipe, to_do: Sequence[Stage], configs: Mapping[str, PretrainedConfig], problems: Problems
) -> None:
    """Note every stage whose limits a model's positions do not suffice for."""
    for stage in to_do:
        limits = (
            recipe.evaluation_of(stage) if isinstance(stage, EvaluateStage) else recipe.training_of(stage)
        )
        longest = limits.input_limit + limits.output_limit
        for role, config in configs.items():
            positions = getattr(config.get_text_config(), "max_position_embeddings", None)
            if positions is not None and positions < longest and role in _roles_in(recipe, stage):
                problems.add(
                    place_of(recipe, stage, "input_limit"),
                    f"the {role} has {positions} positions, fewer than the {longest} of input_limit + output_limit",
                    place_of(recipe, stage, "output_limit"),
                )


def _roles_in(recipe: Recipe, stage: Stage) -> set[str]:
    """The models that a stage runs."""
    if isinstance(stage, FinetuneStage):
        return {stage.model}
    if isinstance(stage, DistillStage):
        uses_teacher = registry.find(stage.method).method.uses_teacher
        return {"student", "teacher"} if uses_teacher else {"student"}
    trained = [recipe.training_stage(name, before=stage) for name in recipe.models_of(stage)]
    roles = {s.model if isinstance(s, FinetuneStage) else "student" for s in trained if s is not None}
    compared = {"teacher"} if "exaccerr" in recipe.evaluation_of(stage).metrics else set()
    return roles | compared | (set(recipe.models_of(stage)) & set(_ROLES))
