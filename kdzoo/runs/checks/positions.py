"""Limits before a run: every model that a stage runs must have positions for its prompts and targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from transformers import PretrainedConfig

from kdzoo.recipe import Evaluation, Recipe, Stage, Training, scoring_of
from kdzoo.recipe.lines import Key
from kdzoo.recipe.names import called
from kdzoo.recipe.places import place_of, place_of_set
from kdzoo.recipe.problems import Problems


def check_positions(
    recipe: Recipe, to_do: Sequence[Stage], configs: Mapping[str, PretrainedConfig], problems: Problems
) -> None:
    """Note every stage whose limits a model's positions do not suffice for."""
    for stage in to_do:
        for needed in _needed(recipe, stage):
            longest = needed.limits.input_limit + needed.limits.output_limit
            for role, config in configs.items():
                positions = getattr(config.get_text_config(), "max_position_embeddings", None)
                if positions is not None and positions < longest and role in needed.roles:
                    problems.add(
                        needed.of_input,
                        f"{called(role)} has {positions} positions, fewer than the {longest} of input_limit + output_limit",
                        needed.of_output,
                    )


class _Needed(NamedTuple):
    """Limits that models of some roles are run within, and where the recipe gives them."""

    limits: Training | Evaluation
    roles: set[str]
    of_input: Key
    of_output: Key


def _needed(recipe: Recipe, stage: Stage) -> Iterator[_Needed]:
    roles = {model.role for model in recipe.models_used(stage).values()}
    of_stage = (place_of(recipe, stage, name) for name in ("input_limit", "output_limit"))
    yield _Needed(recipe.settings_of(stage), roles, *of_stage)
    scoring = None if stage.role is None else scoring_of(recipe, stage)
    if stage.role is not None and scoring is not None:
        of_scores = (
            place_of_set(recipe, None, scoring.set, name) for name in ("input_limit", "output_limit")
        )
        yield _Needed(scoring.evaluation, {stage.role}, *of_scores)
