"""A rehearsal has a little of every dataset and evaluation set, and the embedded benchmark for those that are not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kdzoo.recipe import Recipe, load_recipe, rehearsed, resolved_toml

Load = Callable[..., Recipe]

RECIPE = """\
[data]
kind = "spider"
path = "spider"

[datasets.bird]
kind = "bird"
path = "bird"
max_train = 5

[evaluation_sets.dev]

[evaluation_sets.dk]
evaluation = "spider_dk.json"
max_evaluation = 30
max_examples = 100
metrics = ["ex", "ts"]

[evaluation_sets.without]
data = "bird"
evidence = false

[tokenizer]
train = { vocab_size = 500 }

[student]
from_scratch = { architecture = "llama", hidden_size = 32 }

[[stage]]
kind = "distill"
method = "sft"

[[stage]]
kind = "distill"
method = "sft"
name = "birds"
data = "bird"

[[stage]]
kind = "evaluate"
"""

FILES = (
    "spider/train.json",
    "spider/dev.json",
    "spider/spider_dk.json",
    "bird/train/train.json",
    "bird/dev/dev.json",
)


@pytest.fixture
def little(load: Load, tmp_path: Path) -> Callable[..., Recipe]:
    """Rehearse with all files but some."""

    def little(*lost: str) -> Recipe:
        for name in FILES:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        for name in lost:
            (tmp_path / name).unlink()
        recipe = rehearsed(load(RECIPE))
        # what a rehearsal does is kept as a recipe, and rehearsing it again changes nothing
        (tmp_path / "written.toml").write_text(resolved_toml(recipe))
        assert load_recipe(tmp_path / "written.toml") == recipe
        assert rehearsed(recipe).model_copy(update={"name": recipe.name}) == recipe
        return recipe

    return little


def kinds(recipe: Recipe) -> dict[str, str]:
    trained = {
        stage.name: recipe.training_data_of(stage).kind for stage in recipe.stages if stage.role is not None
    }
    return trained | {one.name: one.data.kind for one in recipe.sets_of()}


def test_all_that_is_there_becomes_small(little: Callable[..., Recipe]) -> None:
    recipe = little()
    assert kinds(recipe) == {
        "sft": "spider",
        "birds": "bird",
        "dev": "spider",
        "dk": "spider",
        "without": "bird",
    }
    assert [recipe.training_data_of(s).max_train for s in recipe.stages[:2]] == [64, 5]  # type: ignore[arg-type,attr-defined]
    dev, dk, without = recipe.sets_of()
    assert [one.data.max_evaluation for one in (dev, dk, without)] == [8, 8, 8]  # type: ignore[attr-defined]
    assert [one.evaluation.max_examples for one in (dev, dk, without)] == [8, 8, 8]
    assert dk.evaluation.metrics == ("ex", "ts")
    assert without.data.evidence is False  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("lost", "replaced"),
    [
        ("spider/spider_dk.json", {"dk"}),
        ("spider/dev.json", {"dev"}),
        ("bird/dev/dev.json", {"without"}),
        # a dataset that cannot be trained on is replaced as a whole
        ("spider/train.json", {"sft", "dev", "dk"}),
        ("bird/train/train.json", {"birds", "without"}),
    ],
)
def test_what_is_not_there_is_replaced_and_nothing_else(
    little: Callable[..., Recipe], lost: str, replaced: set[str]
) -> None:
    assert {name for name, kind in kinds(little(lost)).items() if kind == "embedded"} == replaced


def test_a_set_that_is_replaced_keeps_those_metrics_that_fit(little: Callable[..., Recipe]) -> None:
    _, dk, _ = little("spider/spider_dk.json").sets_of()
    assert (dk.evaluation.metrics, dk.evaluation.max_examples) == (("ex", "ts"), 8)
