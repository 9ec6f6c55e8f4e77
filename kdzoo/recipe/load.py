"""From a recipe file to a validated recipe; every problem is told with its file, line and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from kdzoo.errors import UserError
from kdzoo.files import read_text
from kdzoo.methods import registry
from kdzoo.recipe import paths
from kdzoo.recipe.checks import check_keys, check_table, names_of, shown
from kdzoo.recipe.combinations import check_combinations
from kdzoo.recipe.data_tables import checked_data, checked_datasets, checked_sets, kind_of
from kdzoo.recipe.lines import Key, find_lines
from kdzoo.recipe.overrides import apply_override
from kdzoo.recipe.problems import Problems
from kdzoo.recipe.schema import Origin, Recipe, RecipeHead
from kdzoo.recipe.stages import STAGES, FinetuneStage, all_options
from kdzoo.recipe.tables import EvaluationTable, ModelConfig, TokenizerConfig, Training
from kdzoo.spelling import hint, nearest

_TABLES: dict[str, type[BaseModel]] = {
    "tokenizer": TokenizerConfig,
    "teacher": ModelConfig,
    "student": ModelConfig,
    "training": Training,
    "evaluation": EvaluationTable,
}
# Keys that some look for in a table, and how they are written where they belong.
_OF_ALL_STAGES = {key: f"{key} before the first table, for all stages" for key in ("seed", "threads")}


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply overrides ("stage.key=value").

    Raises:
        UserError: the file cannot be read or anything in it is wrong; one line for each problem.
    """
    path = Path(path)
    text = read_text(path, "recipe")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", str(error), re.DOTALL)
        if place is None:
            raise UserError(f"{path}: not valid TOML: {error}") from None
        message, line, column = place.groups()
        raise UserError(f"{path}:{line}: not valid TOML: {message} (column {column})") from None
    content.setdefault("name", re.sub(r"[^a-z0-9_-]", "-", path.stem.lower())[:80] or "recipe")
    _name_stages(content)
    applied: dict[Key, str] = {}
    refused: list[tuple[str, str]] = []
    for override in overrides:
        try:
            key = apply_override(content, override)
            applied.pop(key, None)  # so that the latest stands last
            applied[key] = override
        except UserError as error:
            refused.append((override, str(error)))
    origin = Origin(path, find_lines(text), applied)
    problems = Problems(origin, [stage.get("name") for stage in _stage_tables(content)])
    for override, message in refused:
        problems.add_override(override, message)
    content = _without_dates(content)
    paths.resolve(content, path.parent, problems)
    recipe = _checked(content, problems)
    if recipe is not None:
        check_combinations(recipe, problems)
    problems.raise_if_any()
    assert recipe is not None  # otherwise there were problems
    return recipe.with_origin(origin)


def _name_stages(content: dict[str, Any]) -> None:
    """Give every stage its default name, so that overrides and messages can use it."""
    for stage in _stage_tables(content):
        if "name" not in stage:
            default = stage.get("method") if stage.get("kind") == "distill" else stage.get("kind")
            if isinstance(default, str):
                stage["name"] = re.sub(r"[^A-Za-z0-9_-]", "-", default)


def _stage_tables(content: dict[str, Any]) -> list[dict[str, Any]]:
    stages = content.get("stage")
    return [_table(stage) for stage in stages] if isinstance(stages, list) else []


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _without_dates(value: Any) -> Any:
    """Give TOML's dates and times as strings: a name or path may look like one, and no key holds one."""
    if isinstance(value, dict):
        return {key: _without_dates(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_dates(inner) for inner in value]
    return str(value) if isinstance(value, datetime | date | time) else value


def _checked(content: dict[str, Any], problems: Problems) -> Recipe | None:
    """Check every table by itself; None if too little is right to go on."""
    known = names_of(Recipe)
    for key in content:
        if key not in known:
            meant = nearest(key, known)
            problems.add((key,), "unknown key" + hint(key, known), *([(meant,)] if meant else []))
    head = check_table(
        RecipeHead, {k: v for k, v in content.items() if k in RecipeHead.model_fields}, (), problems
    )
    parts: dict[str, Any] = {}
    for key, model in _TABLES.items():
        if key in content:
            parts[key] = check_table(model, content[key], (key,), problems, elsewhere=_OF_ALL_STAGES)
    parts["data"] = checked_data(content.get("data"), problems)
    parts["datasets"] = checked_datasets(content.get("datasets", {}), problems)
    parts["evaluation_sets"] = checked_sets(content, problems)
    if "student" not in content:
        problems.add(("student",), "is missing; add a [student] table")
    stages = _checked_stages(content.get("stage"), problems)
    needed = (head, parts.get("student"), *parts.values(), *stages)
    if head is None or not stages or any(part is None for part in needed):
        return None
    return Recipe(**head.model_dump(), **parts, stage=tuple(stages))


def _checked_stages(stages: Any, problems: Problems) -> list[Any]:
    if stages is None or stages == []:
        problems.add(("stage",), "the recipe has no stage; add at least one [[stage]]")
        return []
    if not isinstance(stages, list):
        wanted = (
            "must be an array of tables: write [[stage]], not [stage]" if isinstance(stages, dict) else None
        )
        problems.add(("stage",), wanted or f"must be an array of tables, not {shown(stages)}")
        return []
    return [_checked_stage(stage, ("stage", index), problems) for index, stage in enumerate(stages)]


def _checked_stage(stage: Any, at: Key, problems: Problems) -> BaseModel | None:
    if not isinstance(stage, dict):
        problems.add(at, f"must be a table, not {shown(stage)}")
        return None
    kind = kind_of(stage, STAGES, at, problems)
    if kind is None:
        return None
    model = STAGES[kind]
    stage = dict(stage)
    stage.setdefault(
        "name", stage["kind"]
    )  # a distill stage is named after its method, which is missing or no name
    elsewhere = {name: f"{model.table}.{name}" for name in model.table_model.model_fields}
    _check_part(model.table_model, stage, model.table, at, problems)
    if "method" in model.model_fields:
        options = _check_method(stage, at, problems)
        elsewhere |= {name: f"options.{name}" for name in names_of(options)}
    return check_table(model, stage, at, problems, elsewhere=elsewhere | _OF_ALL_STAGES)


def _check_part(model: type[BaseModel], stage: dict[str, Any], key: str, at: Key, problems: Problems) -> None:
    given = stage.get(key)
    if isinstance(given, dict):  # otherwise the stage's own model says what is wrong with it
        stage[key] = check_keys(model, given, (*at, key), problems)


def _check_method(stage: dict[str, Any], at: Key, problems: Problems) -> type[BaseModel] | None:
    """Check that the method is installed and its options are right; wrong ones are taken out of the stage."""
    default = FinetuneStage.model_fields["method"].default
    method = stage.get("method", default if stage["kind"] == "finetune" else None)
    if not isinstance(method, str):
        return None  # the stage's own model says what is wrong with it
    try:
        model = registry.find(method).method.options
    except UserError as error:
        problems.add((*at, "method"), str(error))
        # a method that needs nothing stands in, so that the rest can be checked
        stage["method"] = default
        stage["options"] = {}
        return None
    given = stage.get("options", {})
    if isinstance(given, dict):
        options = check_table(
            model, given, (*at, "options"), problems, unknown=f"unknown option of method {method}"
        )
        stage["options"] = {} if options is None else all_options(options)
    return model
