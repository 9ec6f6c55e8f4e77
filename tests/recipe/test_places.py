"""Where a recipe sets what counts for a stage, so that a mistake in it can be told with its line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kdzoo.recipe import Recipe
from kdzoo.recipe.places import (
    place_in_options,
    place_in_set,
    place_of,
    place_of_model,
    place_of_set,
)

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


SETS = RECIPE.replace(
    "[tokenizer]",
    """[datasets.more]
kind = "embedded"
[evaluation_sets.a]
data = "more"
seed = 3
[evaluation_sets.b]
metrics = ["ts"]
[tokenizer]""",
)


def test_what_a_set_reads_is_its_own_or_its_dataset_s(load: Callable[..., Recipe]) -> None:
    recipe = load(SETS)
    assert place_in_set(recipe, "a", "seed") == ("evaluation_sets", "a", "seed")
    assert place_in_set(recipe, "a", "questions") == ("datasets", "more", "questions")
    assert place_in_set(recipe, "b", "questions") == ("data", "questions")
    assert place_in_set(load(RECIPE), "embedded", "questions") == ("data", "questions")


def test_a_setting_of_a_set_is_the_stage_s_the_set_s_or_evaluation_s(load: Callable[..., Recipe]) -> None:
    recipe = load(SETS)
    index, stage = next((i, s) for i, s in enumerate(recipe.stages) if s.role is None)
    assert place_of_set(recipe, stage, "a", "metrics") == ("evaluation", "metrics")
    assert place_of_set(recipe, stage, "b", "metrics") == ("evaluation_sets", "b", "metrics")
    own = load(SETS, f"{stage.name}.metrics=['ex']")
    said = own.stages[index]
    assert said.role is None
    assert place_of_set(own, said, "b", "metrics") == ("stage", index, "evaluation", "metrics")


def test_a_setting_of_a_set_that_is_scored_while_training_is_no_stage_s(load: Callable[..., Recipe]) -> None:
    recipe = load(SETS)
    assert place_of_set(recipe, None, "a", "metrics") == ("evaluation", "metrics")
    assert place_of_set(recipe, None, "b", "metrics") == ("evaluation_sets", "b", "metrics")
    assert place_of_set(recipe, None, "b", "input_limit") == ("training", "input_limit")
    limited = load(SETS, "evaluation.input_limit=100")
    assert place_of_set(limited, None, "b", "input_limit") == ("evaluation", "input_limit")
    assert place_of_set(load(RECIPE), None, "embedded", "metrics") == ("evaluation", "metrics")


def test_a_model_s_table_is_its_own_or_among_the_further_teachers(load: Callable[..., Recipe]) -> None:
    assert place_of_model("student") == ("student",)
    assert place_of_model("teacher", "lora", "rank") == ("teacher", "lora", "rank")
    assert place_of_model("wide", "path") == ("teachers", "wide", "path")


def test_an_option_that_names_a_model_is_found_in_the_method_s_or_a_part_s(
    load: Callable[..., Recipe],
) -> None:
    teacher = '[teachers.wide]\nfrom_scratch = { architecture = "llama" }\n[student]'
    text = RECIPE.replace("[student]", teacher).replace(
        'method = "kid"', 'method = "opsd"\noptions.teacher = "average"'
    )
    recipe = load(text)
    stage = recipe.stages[1]
    assert place_in_options(recipe, stage, "average") == ("stage", 1, "options", "teacher")
    assert place_in_options(recipe, stage, "wide") == ("stage", 1, "options")
    part = 'divergence = { method = "multi", options = { weights = { wide = 1.0 } } }'
    recipe = load(text.replace('method = "opsd"', f'{part}\nmethod = "opsd"'))
    found = place_in_options(recipe, recipe.stages[1], "wide")
    assert found == ("stage", 1, "divergence", "options", "weights", "wide")
