"""Every key of a recipe with its type, default and meaning, as Markdown: what docs/recipes.md holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from kdzoo.methods.described_fields import fields_of
from kdzoo.recipe.head import FileKeys, RecipeHead
from kdzoo.recipe.model_tables import LoraConfig, ModelConfig, TokenizerConfig, TrainedTokenizer
from kdzoo.recipe.prompt_table import PromptConfig
from kdzoo.recipe.sets import EvaluationSet
from kdzoo.recipe.stages import STAGES, Part
from kdzoo.recipe.tables import EvaluationTable, Training
from kdzoo.recipe.toml_text import toml_value
from kdzoo.tasks import registry

# JSON Schema's types, in TOML's words.
_TYPES = {"integer": "whole number", "boolean": "true or false", "array": "list"}
_WITHOUT_A_NAME = ("absent",)


def reference() -> str:
    """All keys, a section for each table."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield from _section("Before the first table", "", FileKeys, RecipeHead)
    yield "## [data] and [datasets.NAME]\n"
    yield "What is trained and evaluated on. `kind` chooses the dataset, and the dataset has the other keys. Stages train on"
    yield '[data] unless they name another by `data = "NAME"`.\n'
    for kind in registry.datasets.names():
        dataset = registry.datasets.find(kind)
        yield from _section(
            f'kind = "{kind}"', f"{_sentence(dataset.summary)} {_metrics(dataset)}", dataset.config, level=3
        )
    yield from _of("[evaluation_sets.NAME]", EvaluationSet)
    yield from _of("[teacher], [teachers.NAME] and [student]", ModelConfig)
    yield from _of("lora", LoraConfig, level=3)
    yield from _of("[tokenizer]", TokenizerConfig)
    yield from _of("train", TrainedTokenizer, level=3)
    yield from _of("[prompt]", PromptConfig)
    yield from _of("[training]", Training)
    yield from _of("[evaluation]", EvaluationTable)
    yield "## [[stage]]\n"
    yield "Stages are done in the order in which they stand.\n"
    for kind, stage in STAGES.items():
        yield from _of(f'kind = "{kind}"', stage, level=3)
    yield from _of("sequence, divergence, aux_loss", Part, level=3)


def _of(title: str, model: type[BaseModel], level: int = 2) -> Iterator[str]:
    """A section of one table, with what its class says of itself."""
    said = (model.__doc__ or "").strip().replace("``", "`")
    text = re.sub(r"^[^:`]*: ", "", said, count=1)
    yield from _section(title, _sentence(" ".join(text.split())), model, level=level)


def _section(title: str, text: str, *models: type[BaseModel], level: int = 2) -> Iterator[str]:
    yield f"{'#' * level} {title}\n"
    if text:
        yield f"{text}\n"
    yield "| key | type | default | meaning |\n| --- | --- | --- | --- |"
    for model in models:
        for row in fields_of(model):
            if row["name"] == "kind":
                continue  # it stands in the title
            cells = (f"`{row['name']}`", _type_text(row), _default_text(row), row["description"])
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _type_text(row: dict[str, Any]) -> str:
    if "choices" in row:
        text = " or ".join(f"`{toml_value(choice)}`" for choice in row["choices"])
    else:
        names = [_TYPES.get(name, name) for name in row["type"].split(" or ") if name not in _WITHOUT_A_NAME]
        text = " or ".join(names)
    return f"{text}, {row['range']}" if "range" in row else text


def _default_text(row: dict[str, Any]) -> str:
    if row.get("required"):
        return "required"
    if "unless_given" in row:
        return str(row["unless_given"])
    return "-" if row["default"] is None else f"`{toml_value(row['default'])}`"


def _metrics(dataset: Any) -> str:
    usual = dataset.usual_metrics
    names = [f"`{name}`" + (" (usual)" if name in usual else "") for name in dataset.metrics]
    return f"Metrics: {', '.join(names)}."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].removesuffix(".") + "."
