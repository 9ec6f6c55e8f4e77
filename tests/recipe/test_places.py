"""Where a recipe sets what counts for a stage, so that a mistake in it can be told with its line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kdzoo.recipe import Recipe
from kdzoo.recipe.places import place_of

RECIPE = """\
[data]
kind = "embedded"
[tokenizer]
train = { vocab_size = 500 }
[teacher]
from_scratch = { architecture = "llama", hidden_size = 64 }
[student]
from_scratch = { architecture = "llama", hidden_size = 32 }
[training]
input_limit = 300
[evaluation]
batch_size = 5
[[stage]]
kind = "finetune"
[[stage]]
kind = "distill"
method = "kid"
training = { input_limit = 200 }
[[stage]]
kind = "evaluate"
evaluation = { output_limit = 40 }
"""


@pytest.fixture
def recipe(load: Callable[..., Recipe]) -> Recipe:
    return load(RECIPE)


@pytest.mark.parametrize(
    ("stage", "setting", "place"),
    [
        (0, "input_limit", ("training", "input_limit")),
        (1, "input_limit", ("stage", 1, "training", "input_limit")),
        (1, "output_limit", ("training", "output_limit")),
        (2, "output_limit", ("stage", 2, "evaluation", "output_limit")),
        # an evaluation without a limit of its own has the training's
        (2, "input_limit", ("training", "input_limit")),
        (2, "batch_size", ("evaluation", "batch_size")),
    ],
)
def test_a_stage_s_own_counts_before_that_of_all(
    recipe: Recipe, stage: int, setting: str, place: tuple[str | int, ...]
) -> None:
    assert place_of(recipe, recipe.stages[stage], setting) == place


def test_a_limit_of_all_evaluations_is_theirs(load: Callable[..., Recipe]) -> None:
    recipe = load(RECIPE.replace("batch_size = 5", "input_limit = 100"))
    assert place_of(recipe, recipe.stages[2], "input_limit") == ("evaluation", "input_limit")
