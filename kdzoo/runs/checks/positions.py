"""Limits before a run: every model that a stage runs must have positions for its prompts and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transformers import PretrainedConfig

from kdzoo.recipe import Recipe, Stage
from kdzoo.recipe.places import place_of
from kdzoo.recipe.problems import Problems


def check_positions(
    recipe: Recipe, to_do: Sequence[Stage], configs: Mapping[str, PretrainedConfig], problems: Problems
) -> None:
    """Note every stage whose limits a model's positions do not suffice for."""
    for stage in to_do:
        limits = recipe.settings_of(stage)
        longest = limits.input_limit + limits.output_limit
        roles = {model.role for model in recipe.models_used(stage).values()}
        for role, config in configs.items():
            positions = getattr(config.get_text_config(), "max_position_embeddings", None)
            if positions is not None and positions < longest and role in roles:
                problems.add(
                    place_of(recipe, stage, "input_limit"),
                    f"the {role} has {positions} positions, fewer than the {longest} of input_limit + output_limit",
                    place_of(recipe, stage, "output_limit"),
                )
