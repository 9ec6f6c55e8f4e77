"""docs/recipes.md says every key of a recipe as the code has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kdzoo.methods.described_fields import fields_of
from kdzoo.recipe import load_recipe, reference
from kdzoo.recipe.head import FileKeys, RecipeHead
from kdzoo.recipe.model_tables import LoraConfig, ModelConfig, TokenizerConfig, TrainedTokenizer
from kdzoo.recipe.prompt_table import PromptConfig
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.sets import EvaluationSet
from kdzoo.recipe.stages import STAGES
from kdzoo.recipe.tables import EvaluationTable, Training
from kdzoo.tasks import registry

DOCUMENT = Path(__file__).parents[2] / "docs" / "recipes.md"
TABLES = [
    *(FileKeys, RecipeHead, EvaluationSet, TokenizerConfig, TrainedTokenizer),
    *(ModelConfig, LoraConfig, PromptConfig, Training, EvaluationTable, *STAGES.values()),
]
DATASETS = [registry.datasets.find(kind).config for kind in ("bird", "embedded", "hf", "jsonl", "spider")]


def test_the_document_ends_with_what_the_command_prints() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    _, _, rest = text.partition("What follows is what `kdzoo keys` prints.\n\n")
    assert rest == reference.reference(), (
        "kdzoo keys has changed: put what it prints at the end of docs/recipes.md"
    )


@pytest.mark.parametrize("table", [*TABLES, *DATASETS], ids=lambda table: table.__name__)
def test_every_key_has_a_meaning_and_a_line(table: type) -> None:
    text = reference.reference()
    for row in fields_of(table):
        if row["name"] == "kind":
            continue
        assert row["description"], f"{row['name']} has no description"
        assert re.search(
            rf"^\| `{row['name']}` \|.*\| {re.escape(row['description'])} \|$", text, re.MULTILINE
        )


def test_every_table_of_a_recipe_has_a_section() -> None:
    headings = " ".join(line for line in reference.reference().splitlines() if line.startswith("#"))
    for name, field in Recipe.model_fields.items():
        if name not in RecipeHead.model_fields:
            assert f"[{field.alias or name}" in headings


def test_the_recipe_for_one_s_own_data_is_right(tmp_path: Path) -> None:
    lines, recipe, *_ = re.findall(
        r"```(?:json|toml)\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL
    )
    for name in ("train.jsonl", "held_out.jsonl"):
        (tmp_path / name).write_text(lines, encoding="utf-8")
    (tmp_path / "own.toml").write_text(recipe, encoding="utf-8")
    loaded = load_recipe(tmp_path / "own.toml")
    assert [stage.name for stage in loaded.stages] == ["finetune", "kid", "sft", "evaluate"]
    splits = registry.datasets.find("jsonl").load(loaded.data, tmp_path)
    assert [(e.prompt, e.target, e.group) for e in splits.train] == [
        ("Translate to French: cheese", "fromage", None),
        ("Translate to French: bread", "pain", "food"),
    ]


def test_a_default_that_reading_fills_in_is_told_and_a_missing_one_too() -> None:
    text = reference.reference()
    assert "| `name` | string | the file's name |" in text
    assert "| `rank` | whole number, >= 1 | required |" in text
    assert "| `seed` | whole number, >= 0 and < 2147483648 | `0` |" in text
    assert "| `max_steps` | whole number, >= 1 | - |" in text
