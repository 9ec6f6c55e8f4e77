"""What counts for an evaluation set: its dataset's keys, its own over them, and the settings of stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdzoo.recipe import Recipe, load_recipe, resolved_toml

Load = Callable[..., Recipe]

RECIPE = """\
[data]
kind = "spider"
path = "spider"
details = false

[datasets.bird]
kind = "bird"
path = "bird"
train = []

[datasets.text]
kind = "jsonl"
train = "train.jsonl"

[evaluation_sets.dev]

[evaluation_sets.dk]
evaluation = "spider_dk.json"
databases = ["dk/database"]
metrics = ["ts"]
max_examples = 7

[evaluation_sets.without]
data = "bird"
evidence = false

[tokenizer]
train = { vocab_size = 500 }

[student]
from_scratch = { architecture = "llama", hidden_size = 32 }

[evaluation]
metrics = ["ex", "ts"]
max_examples = 50

[[stage]]
kind = "distill"
method = "sft"

[[stage]]
kind = "distill"
method = "sft"
name = "texts"
data = "text"

[[stage]]
kind = "evaluate"

[[stage]]
kind = "evaluate"
name = "few"
sets = ["without", "dk"]
evaluation = { metrics = ["ex"], max_examples = 2 }
"""


def here(path: str) -> str:
    return str(Path(path).absolute())


@pytest.fixture
def recipe(load: Load) -> Recipe:
    return load(RECIPE)


def scored(recipe: Recipe, stage: int) -> dict[str, Any]:
    return {one.name: one for one in recipe.sets_of(recipe.stages[stage])}  # type: ignore[arg-type]


def test_a_set_has_its_dataset_s_keys_and_its_own_over_them(recipe: Recipe) -> None:
    sets = scored(recipe, 2)
    assert list(sets) == ["dev", "dk", "without"]
    dev, dk, without = (sets[name].data for name in sets)
    assert (dev.kind, dev.path, dev.evaluation, dev.details) == ("spider", here("spider"), "dev.json", False)
    assert (dk.path, dk.evaluation, dk.details) == (here("spider"), "spider_dk.json", False)
    assert dk.databases == (here("dk/database"),)
    assert (without.kind, without.path, without.evidence) == ("bird", here("bird"), False)


def test_a_set_is_read_without_what_only_training_needs(recipe: Recipe) -> None:
    assert scored(recipe, 2)["dev"].data.train == ()
    sft, texts = recipe.stages[:2]
    assert recipe.training_data_of(sft).evaluation is None  # type: ignore[arg-type,attr-defined]
    assert recipe.training_data_of(texts).train == here("train.jsonl")  # type: ignore[arg-type,attr-defined]
    assert [data.kind for data in recipe.training_data] == ["spider", "jsonl"]


def test_metrics_and_questions_are_the_set_s_own_else_those_of_evaluation_that_fit(recipe: Recipe) -> None:
    found = {
        name: (one.evaluation.metrics, one.evaluation.max_examples) for name, one in scored(recipe, 2).items()
    }
    assert found == {"dev": (("ex", "ts"), 50), "dk": (("ts",), 7), "without": (("ex",), 50)}
    assert recipe.evaluation_of(recipe.stages[2]).metrics == ("ex", "ts")  # type: ignore[arg-type]


def test_a_metric_that_is_named_twice_is_measured_once(load: Load) -> None:
    recipe = load(RECIPE, "evaluation_sets.dk.metrics=['ts', 'ex', 'ts']", "few.metrics=['ex', 'ex']")
    assert scored(recipe, 2)["dk"].evaluation.metrics == ("ts", "ex")
    assert scored(recipe, 3)["without"].evaluation.metrics == ("ex",)


def test_what_a_stage_says_counts_for_all_its_sets(recipe: Recipe) -> None:
    sets = scored(recipe, 3)
    assert list(sets) == ["without", "dk"]
    for one in sets.values():
        assert (one.evaluation.metrics, one.evaluation.max_examples) == (("ex",), 2)


def test_a_dataset_s_usual_metrics_count_where_none_that_is_given_fits(load: Load) -> None:
    text = RECIPE.replace('metrics = ["ex", "ts"]', 'metrics = ["exaccerr", "ts"]').replace(
        'metrics = ["ts"]\n', ""
    )
    text = text.replace("[student]", '[teacher]\npath = "t"\n[student]').replace(
        'from_scratch = { architecture = "llama", hidden_size = 32 }', 'path = "s"'
    )
    text = text.replace("[tokenizer]\ntrain = { vocab_size = 500 }\n", "")
    text += '[[stage]]\nkind = "evaluate"\nname = "third"\nevaluation = { metrics = ["ts"] }\n'
    sets = scored(load(text), 4)
    assert {name: one.evaluation.metrics for name, one in sets.items()} == {
        "dev": ("ts",),
        "dk": ("ts",),
        # what the stage asks for does not fit BIRD; of what all are asked for this does
        "without": ("exaccerr",),
    }


def test_the_only_set_of_a_recipe_without_sets_is_called_by_its_data_s_kind(load: Load, right: str) -> None:
    recipe = load(right)
    assert recipe.set_names == ("embedded",)
    (only,) = recipe.sets_of()
    assert (only.name, only.data, only.evaluation.metrics) == ("embedded", recipe.data, ("ex",))
    assert load(right + 'sets = ["embedded"]\n').sets_of(load(right).stages[2]) == (only,)  # type: ignore[arg-type]


def test_the_resolved_recipe_is_read_as_the_same(recipe: Recipe, tmp_path: Path) -> None:
    again = tmp_path / "again.toml"
    again.write_text(resolved_toml(recipe))
    assert load_recipe(again) == recipe
    assert load_recipe(again).sets_of() == recipe.sets_of()


class TestOverrides:
    def test_change_a_set_s_and_a_dataset_s_keys(self, load: Load) -> None:
        recipe = load(
            RECIPE, "evaluation_sets.dk.evaluation=x.json", "datasets.bird.path=elsewhere", "few.sets=['dev']"
        )
        assert recipe.sets_of()[1].data.evaluation == "x.json"  # type: ignore[attr-defined]
        assert recipe.sets_of()[2].data.path == here("elsewhere")  # type: ignore[attr-defined]
        assert list(scored(recipe, 3)) == ["dev"]

    def test_add_a_set_to_a_recipe_that_has_none(self, load: Load, right: str) -> None:
        assert load(right, "evaluation_sets.more.seed=3").set_names == ("more",)


class TestPaths:
    def test_are_found_beside_the_recipe_as_those_of_data_are(
        self, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for folder in ("spider", "bird", "dk/database", "suites"):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "train.jsonl").touch()
        monkeypatch.setenv("SUITES", "suites")
        text = RECIPE.replace("[evaluation_sets.dev]", '[evaluation_sets.dev]\ntest_suites = "${SUITES}"')
        recipe = load(text)
        dev, dk, without = (one.data for one in recipe.sets_of())
        assert dev.test_suites == str(tmp_path / "suites")  # type: ignore[attr-defined]
        assert dk.databases == (str(tmp_path / "dk/database"),)  # type: ignore[attr-defined]
        assert without.path == str(tmp_path / "bird")  # type: ignore[attr-defined]
        assert recipe.named_data("text").train == str(tmp_path / "train.jsonl")  # type: ignore[attr-defined]

    def test_name_a_variable_that_is_not_set(self, load: Load) -> None:
        with pytest.raises(
            Exception, match=r"evaluation_sets\.dk\.databases: the environment variable NOWHERE_"
        ):
            load(RECIPE.replace('"dk/database"', '"${NOWHERE_}/database"'))
