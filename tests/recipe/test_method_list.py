"""``--methods``: the recipe's distill stages become those of the methods that are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kdzoo.errors import UserError
from kdzoo.recipe import Recipe, load_sweep
from kdzoo.recipe.method_list import split_methods

STAGES = """\
[[stage]]
kind = "finetune"

[[stage]]
kind = "finetune"
name = "base"
model = "student"

[[stage]]
kind = "distill"
method = "sft"
student_from = "base"
training = { epochs = 3 }
seed = 5

[[stage]]
kind = "distill"
name = "mine"
method = "kid"
options = { alpha = 0.4 }

[[stage]]
kind = "evaluate"
models = ["teacher", "sft", "mine", "base"]

[[stage]]
kind = "evaluate"
name = "all"
"""

Load = Callable[..., Recipe]


@pytest.fixture
def load_with(write: Callable[[str], Path], right: str) -> Load:
    """The right recipe with these stages, and with distill stages of the methods."""

    def load_with(methods: str, *overrides: str, stages: str = STAGES) -> Recipe:
        path = write(right[: right.index("[[stage]]")] + stages)
        (member,) = load_sweep(path, overrides, methods=split_methods(methods)).members
        return member.recipe

    return load_with


def test_they_stand_in_the_order_named_where_the_first_one_stood(load_with: Load) -> None:
    recipe = load_with("rkd,sft,gkd,kid")
    assert [stage.name for stage in recipe.stages] == [
        *("finetune", "base", "rkd", "sft", "gkd", "mine", "evaluate", "all")
    ]


def test_a_stage_that_is_there_stays_as_it_is(load_with: Load) -> None:
    kid = load_with("rkd,kid").stages[3]
    assert (kid.name, kid.student_from, kid.training, kid.options["alpha"]) == ("mine", None, {}, 0.4)


def test_a_stage_that_is_made_has_the_first_one_s_models_and_training_and_its_method_s_options(
    load_with: Load,
) -> None:
    gkd = load_with("gkd").stages[2]
    assert (gkd.method, gkd.student_from, gkd.training, gkd.seed) == ("gkd", "base", {"epochs": 3}, 5)
    assert gkd.options["divergence"] == "rkl"


def test_evaluations_name_the_new_ones(load_with: Load) -> None:
    recipe = load_with("rkd,sft,kid")
    assert recipe.models_of(recipe.stages[-2]) == ("teacher", "rkd", "sft", "mine", "base")
    assert recipe.models_of(recipe.stages[-1]) == ("teacher", "student", "rkd", "sft", "mine")


def test_an_evaluation_of_other_models_stays(load_with: Load) -> None:
    stages = STAGES.replace('["teacher", "sft", "mine", "base"]', '["teacher", "base"]')
    recipe = load_with("rkd", stages=stages)
    assert recipe.models_of(recipe.stages[-2]) == ("teacher", "base")


def test_several_stages_of_one_method_all_stay(load_with: Load) -> None:
    second = '[[stage]]\nkind = "distill"\nname = "second"\nmethod = "kid"\n'
    assert [s.name for s in load_with("kid,rkd", stages=STAGES + second).stages] == [
        *("finetune", "base", "mine", "second", "rkd", "evaluate", "all")
    ]


def test_a_name_that_another_stage_has_is_not_taken(load_with: Load) -> None:
    stages = STAGES.replace('"base"', '"RKD"')
    recipe = load_with("rkd", stages=stages)
    assert [stage.name for stage in recipe.stages][:3] == ["finetune", "RKD", "rkd-2"]
    assert recipe.stages[2].student_from == "RKD"


def test_nor_one_that_a_stage_has_that_stays(load_with: Load) -> None:
    stages = STAGES.replace('"mine"', '"rkd"')
    recipe = load_with("rkd,kid", stages=stages)
    assert [(s.name, s.method) for s in recipe.stages[2:4]] == [("rkd-2", "rkd"), ("rkd", "kid")]
    assert recipe.models_of(recipe.stages[4]) == ("teacher", "rkd-2", "rkd", "base")


def test_overrides_know_the_new_stages(load_with: Load) -> None:
    assert load_with("rkd", "rkd.options.kd_weight=0.5").stages[2].options["kd_weight"] == 0.5
    with pytest.raises(UserError, match='no stage or table "mine"'):
        load_with("rkd", "mine.options.alpha=0.5")


def test_problems_are_told_at_the_lines_that_the_stages_have_in_the_file(load_with: Load) -> None:
    stages = STAGES.replace("alpha = 0.4", "alpha = 4").replace("epochs = 3", "epochs = -3")
    with pytest.raises(UserError) as caught:
        load_with("rkd,kid", stages=stages)
    # the line of the first distill stage, from which that of rkd was made, and of the stage that stayed
    head = 15
    assert str(caught.value).split("\n") == [
        f'r.toml:{head + 13}: stage "rkd": training.epochs: must be greater than 0 and at most 10000, not -3',
        f'r.toml:{head + 20}: stage "mine": options.alpha: must be greater than 0 and at most 1, not 4',
    ]


def test_a_stage_that_another_starts_from_and_is_named_no_more_is_missed(load_with: Load) -> None:
    stages = STAGES.replace('name = "mine"', 'name = "mine"\nstudent_from = "sft"')
    with pytest.raises(UserError, match='student_from: no stage before this one is called "sft"'):
        load_with("kid", stages=stages)


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ("sft,kdi", "--methods sft,kdi: no method 'kdi' is installed; did you mean"),
        ("kid,sft,kid", '--methods kid,sft,kid: "kid" stands there twice'),
        ("", "--methods : write the names of methods with a comma between them"),
        ("sft,,kid", "--methods sft,,kid: write the names of methods with a comma between them"),
    ],
)
def test_lists_that_are_none(methods: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        split_methods(methods)
    assert str(caught.value).startswith(message)


def test_spaces_do_not_matter() -> None:
    assert split_methods("sft, kid") == ["sft", "kid"]


def test_a_recipe_without_a_distill_stage(load_with: Load) -> None:
    with pytest.raises(UserError) as caught:
        load_with("kid", stages='[[stage]]\nkind = "finetune"\n')
    assert str(caught.value) == "r.toml: --methods needs a distill stage in the recipe, and there is none"


@pytest.mark.parametrize("stages", ["", "stage = 3\n", "[stage]\nx = 1\n"])
def test_a_recipe_without_stages(write: Callable[[str], Path], stages: str) -> None:
    with pytest.raises(UserError, match="needs a distill stage"):
        load_sweep(write(stages), methods=["kid"])
