"""A recipe is read with all its defaults; stages take names, settings and models from what is around them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kdzoo.errors import UserError
from kdzoo.recipe import DistillStage, EvaluateStage, FinetuneStage, Recipe, StageModel, load_recipe

Load = Callable[..., Recipe]


def test_defaults(load: Load) -> None:
    recipe = load()
    assert (recipe.name, recipe.seed) == ("r", 0)
    assert recipe.training.batch_size == 16
    assert recipe.training.learning_rate == 2e-4
    finetune, distill, evaluate = recipe.stages
    assert isinstance(finetune, FinetuneStage)
    assert isinstance(distill, DistillStage)
    assert isinstance(evaluate, EvaluateStage)
    assert (finetune.name, finetune.model, finetune.method) == ("finetune", "teacher", "sft")
    assert (distill.name, evaluate.name) == ("kid", "evaluate")


def test_a_name_is_made_of_the_file_s(write: Callable[[], Path]) -> None:
    path = write().rename("My Größe.v2.toml")
    assert load_recipe(path).name == "my-gr--e-v2"


def test_a_stage_s_settings_are_the_recipe_s_with_its_own_over_them(load: Load, right: str) -> None:
    recipe = load(
        right.replace('method = "kid"', 'method = "kid"\ntraining = { epochs = 5, batch_size = 8 }')
    )
    finetune, distill, _ = recipe.stages
    assert recipe.training_of(finetune).epochs == 2
    assert recipe.training_of(distill).epochs == 5
    assert recipe.training_of(distill).batch_size == 8
    assert recipe.training_of(distill).learning_rate == 2e-4


def test_an_evaluation_takes_its_limits_from_the_training_and_its_metric_from_the_data(
    load: Load, right: str
) -> None:
    recipe = load()
    evaluation = recipe.evaluation_of(recipe.stages[-1])
    assert (evaluation.input_limit, evaluation.output_limit) == (1024, 128)
    assert evaluation.metrics == ("ex",)
    changed = load(right, "evaluate.max_examples=5", "evaluation.output_limit=7", "evaluate.time_limit=1")
    evaluation = changed.evaluation_of(changed.stages[-1])
    assert (evaluation.max_examples, evaluation.output_limit, evaluation.time_limit) == (5, 7, 1)


def test_a_text_task_is_judged_by_exact_match_and_rouge_l(load: Load, right: str) -> None:
    recipe = load(right.replace('kind = "embedded"', 'kind = "jsonl"\ntrain = "t"\nevaluation = "e"'))
    assert recipe.evaluation_of(recipe.stages[-1]).metrics == ("exact_match", "rouge_l")


def test_options_are_filled_in_and_validated(load: Load, right: str) -> None:
    recipe = load(right.replace('method = "kid"', 'method = "gkd"\noptions = { lambda = 0.5 }'))
    distill = recipe.stages[1]
    assert distill.options["lambda"] == 0.5
    assert distill.options["divergence"] == "rkl"
    assert "lambda_" not in distill.options
    assert distill.method_options().lambda_ == 0.5


def test_the_python_name_of_an_option_is_its_alias(load: Load, right: str) -> None:
    by_name = load(right.replace('method = "kid"', 'method = "gkd"\noptions = { lambda_ = 0.5 }'))
    by_alias = load(right.replace('method = "kid"', 'method = "gkd"\noptions = { lambda = 0.5 }'))
    assert by_name == by_alias


TWO_TEACHERS = """
[[stage]]
kind = "evaluate"
name = "before"
models = ["teacher"]

[[stage]]
kind = "finetune"
name = "first"

[[stage]]
kind = "distill"
method = "rkd"

[[stage]]
kind = "finetune"
name = "second"

[[stage]]
kind = "distill"
method = "kid"
student_from = "rkd"

[[stage]]
kind = "distill"
method = "fkd"
teacher_from = "first"

[[stage]]
kind = "evaluate"
"""


def with_two_teachers(right: str) -> str:
    head = right[: right.index("[[stage]]")].replace(
        'from_scratch = { architecture = "llama", hidden_size = 64 }', 'path = "hub/teacher"'
    )
    return head.replace("train = { vocab_size = 500 }", 'path = "hub/teacher"') + TWO_TEACHERS


def test_the_teacher_is_the_last_one_trained_before_a_stage(load: Load, right: str) -> None:
    recipe = load(with_two_teachers(right))
    before, _, rkd, _, kid, fkd, evaluate = recipe.stages
    assert [recipe.teacher_stage_of(stage) for stage in (rkd, kid, fkd)] == ["first", "second", "first"]
    assert recipe.models_of(before) == ("teacher",)
    assert recipe.training_stage("teacher", before=before) is None
    assert recipe.training_stage("teacher", before=rkd).name == "first"
    assert recipe.training_stage("teacher").name == "second"
    assert recipe.training_stage("rkd").name == "rkd"
    assert recipe.models_of(evaluate) == ("teacher", "rkd", "kid", "fkd")


def test_a_stage_says_what_it_trains_and_which_models_it_loads(load: Load, right: str) -> None:
    recipe = load(with_two_teachers(right), 'evaluate.models=["kid"]', 'evaluate.metrics=["exaccerr"]')
    assert [stage.role for stage in recipe.stages] == [
        *(None, "teacher", "student", "teacher", "student", "student", None)
    ]
    base, first, second = (
        StageModel("student"),
        StageModel("teacher", "first"),
        StageModel("teacher", "second"),
    )
    assert [recipe.models_used(stage) for stage in recipe.stages] == [
        {"teacher": StageModel("teacher")},
        {"teacher": StageModel("teacher")},
        {"student": base, "teacher": first},
        {"teacher": StageModel("teacher")},
        {"student": StageModel("student", "rkd"), "teacher": second},
        {"student": base, "teacher": first},
        {"kid": StageModel("student", "kid"), "teacher": second},
    ]


def test_a_stage_whose_method_needs_no_teacher_loads_none(load: Load, right: str) -> None:
    recipe = load(right.replace('method = "kid"', 'method = "sft"'))
    finetune, distill, evaluate = recipe.stages
    assert recipe.models_used(distill) == {"student": StageModel("student")}
    assert recipe.models_used(evaluate) == {
        "teacher": StageModel("teacher", finetune.name),
        "sft": StageModel("student", "sft"),
    }


def test_a_model_that_is_named_twice_is_evaluated_once(load: Load, right: str) -> None:
    recipe = load(right, "evaluate.models=['kid', 'teacher', 'kid']")
    assert recipe.models_of(recipe.stages[-1]) == ("kid", "teacher")


def test_a_recipe_without_a_teacher_can_train_by_methods_that_need_none(load: Load, right: str) -> None:
    start, end = right.index("[teacher]"), right.index("[student]")
    recipe = load(
        (right[:start] + right[end:])
        .replace('kind = "finetune"', 'kind = "finetune"\nmodel = "student"')
        .replace('method = "kid"', 'method = "sft"')
    )
    assert recipe.teacher is None
    assert recipe.models_of(recipe.stages[-1]) == ("student", "sft")


def test_a_byte_order_mark_is_no_mistake(write: Callable[[str], Path], right: str) -> None:
    assert load_recipe(write("\ufeff" + right)).name == "r"


def test_reading_recipes_imports_neither_torch_nor_transformers() -> None:
    code = "import kdzoo.recipe, sys; sys.exit(any(m in sys.modules for m in ('torch', 'transformers')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_recipe_cannot_be_changed(load: Load) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().seed = 3


def test_a_missing_recipe(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(tmp_path / "no.toml")
    assert str(caught.value) == f"{tmp_path / 'no.toml'}: there is no such recipe"


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a folder, not a recipe"


def test_a_file_below_a_file(write: Callable[[], Path]) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(write() / "x.toml")
    assert str(caught.value) == "r.toml/x.toml: cannot be read: Not a directory"


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b"seed = 1\nname = 'gr\xfc\xdfe'\n")
    with pytest.raises(UserError) as caught:
        load_recipe(path)
    assert str(caught.value) == f"{path}:2: not UTF-8 text (byte 19 of the file)"


def test_a_file_that_is_not_toml(problems: Callable[..., list[str]]) -> None:
    assert problems("a = 1\nb = \n") == ["r.toml:2: not valid TOML: Invalid value (column 5)"]
    assert problems("a = [") == ["r.toml: not valid TOML: Invalid value (at end of document)"]
    assert problems("a = 1\na = 2\n") == ["r.toml:2: not valid TOML: Cannot overwrite a value (column 6)"]


def test_trust_in_a_model_s_code_is_kept_only_where_it_is_given(load: Load, right: str) -> None:
    """So what a run without it is called, and its stages' fingerprints, are as if there were no such key."""
    text = right.replace('from_scratch = { architecture = "llama", hidden_size = 32 }', 'path = "a/b"')
    text = text.replace("train = { vocab_size = 500 }", 'path = "a/b"').replace("kid", "sft")
    text = text.replace('from_scratch = { architecture = "llama", hidden_size = 64 }', 'path = "a/b"')
    assert "trust_remote_code" not in str(load(text).model_dump(mode="json"))
    for table in ("tokenizer", "teacher", "student"):
        kept = load(text, f"{table}.trust_remote_code=true").model_dump(mode="json")
        assert kept[table]["trust_remote_code"] is True
        assert str(kept).count("trust_remote_code") == 1


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("tokenizer", "belongs to path; a tokenizer that is trained brings no code"),
        ("teacher", "belongs to path; a model from scratch has no code of its own"),
    ],
)
def test_trust_belongs_to_what_is_loaded(load: Load, right: str, key: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(right, f"{key}.trust_remote_code=true")
    assert str(caught.value) == f"--set {key}.trust_remote_code=true: {message}"
