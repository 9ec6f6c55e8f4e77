"""From a recipe file to a validated recipe; every problem is told with its file, line and key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from kdzoo.errors import UserError
from kdzoo.methods import registry
from kdzoo.methods.mixture import PARTS, check_part
from kdzoo.recipe import paths
from kdzoo.recipe.checks import check_keys, check_table, names_of, shown
from kdzoo.recipe.combinations import check_combinations
from kdzoo.recipe.data_tables import checked_data, checked_datasets, checked_sets, kind_of
from kdzoo.recipe.extends import Written, read_written
from kdzoo.recipe.head import FileKeys, RecipeHead
from kdzoo.recipe.lines import Key
from kdzoo.recipe.model_tables import ModelConfig, TokenizerConfig
from kdzoo.recipe.origin import Origin, Override
from kdzoo.recipe.overrides import apply_override
from kdzoo.recipe.problems import Problems
from kdzoo.recipe.prompt_table import PromptConfig
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.stage_names import name_stages, stage_tables
from kdzoo.recipe.stages import STAGES, FinetuneStage, Part, all_options
from kdzoo.recipe.tables import EvaluationTable, Training
from kdzoo.recipe.teacher_tables import checked_teachers
from kdzoo.spelling import hint, nearest

_TABLES: dict[str, type[BaseModel]] = {
    "tokenizer": TokenizerConfig,
    "teacher": ModelConfig,
    "student": ModelConfig,
    "prompt": PromptConfig,
    "training": Training,
    "evaluation": EvaluationTable,
}
# Keys that some look for in a table, and how they are written where they belong.
_OF_ALL_STAGES = {
    key: f"{key} before the first table, for all stages" for key in RecipeHead.model_fields if key != "name"
}


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe that stands for one run, and apply overrides ("stage.key=value").

    Raises:
        UserError: a file cannot be read or anything in it is wrong; one line for each problem.
    """
    recipe, _ = check(read_written(Path(path)), [Override.of_command_line(text) for text in overrides])
    return recipe


def check(written: Written, overrides: Sequence[Override]) -> tuple[Recipe, dict[str, Any]]:
    """Apply overrides to what was written, and check it. Gives the content too, with its paths where they are.

    Raises:
        UserError: anything is wrong; one line for each problem.
    """
    content = deepcopy(written.content)
    content.setdefault("name", re.sub(r"[^a-z0-9_-]", "-", written.file.stem.lower())[:80] or "recipe")
    name_stages(content)
    applied: dict[Key, Override] = {}
    refused: list[tuple[Override, str]] = []
    for override in overrides:
        try:
            key = apply_override(content, override.text)
            applied.pop(key, None)  # so that the latest stands last
            applied[key] = override
        except UserError as error:
            refused.append((override, str(error)))
    origin = Origin(written.file, written.lines, applied)
    problems = Problems(origin, [stage.get("name") for stage in stage_tables(content)])
    for override, message in refused:
        problems.add_override(override, message)
    content = without_dates(content)
    paths.resolve(content, origin, problems)
    recipe = _checked(content, problems)
    if recipe is not None:
        check_combinations(recipe, problems)
    problems.raise_if_any()
    assert recipe is not None  # otherwise there were problems
    return recipe.with_origin(origin), content


def without_dates(value: Any) -> Any:
    """Give TOML's dates and times as strings: a name or path may look like one, and no key holds one."""
    if isinstance(value, dict):
        return {key: without_dates(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_dates(inner) for inner in value]
    return str(value) if isinstance(value, datetime | date | time) else value


def _checked(content: dict[str, Any], problems: Problems) -> Recipe | None:
    """Check every table by itself; None if too little is right to go on."""
    known = names_of(Recipe)
    for key in content:
        if key in FileKeys.model_fields:
            problems.add((key,), "makes several recipes of one, and a single one is asked for")
        elif key not in known:
            meant = nearest(key, known)
            problems.add(
                (key,),
                "unknown key" + hint(key, [*known, *FileKeys.model_fields]),
                *([(meant,)] if meant else []),
            )
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
    parts["teachers"] = checked_teachers(content.get("teachers", {}), _OF_ALL_STAGES, problems)
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
        default = FinetuneStage.model_fields["method"].default
        method = stage.get("method", default if kind == "finetune" else None)
        options = _check_method(stage, method, at, problems)
        elsewhere |= {name: f"options.{name}" for name in names_of(options)}
    if kind == "distill":
        _check_parts(stage, at, problems)
    return check_table(model, stage, at, problems, elsewhere=elsewhere | _OF_ALL_STAGES)


def _check_part(model: type[BaseModel], stage: dict[str, Any], key: str, at: Key, problems: Problems) -> None:
    given = stage.get(key)
    if isinstance(given, dict):  # otherwise the stage's own model says what is wrong with it
        stage[key] = check_keys(model, given, (*at, key), problems)


def _check_method(stage: dict[str, Any], method: Any, at: Key, problems: Problems) -> type[BaseModel] | None:
    """Check that a stage's or a part's method is installed and its options are right; wrong ones are taken out."""
    if not isinstance(method, str):
        return None  # the table's own model says what is wrong with it
    try:
        model = registry.find(method).method.options
    except UserError as error:
        problems.add((*at, "method"), str(error))
        # a method that needs nothing stands in, so that the rest can be checked
        stage["method"] = FinetuneStage.model_fields["method"].default
        stage["options"] = {}
        return None
    given = stage.get("options", {})
    if isinstance(given, dict):
        options = check_table(
            model, given, (*at, "options"), problems, unknown=f"unknown option of method {method}"
        )
        stage["options"] = {} if options is None else all_options(options)
    return model


def _check_parts(stage: dict[str, Any], at: Key, problems: Problems) -> None:
    """Check what a distill stage has from other methods; what is wrong is taken out."""
    for part in PARTS:
        if part not in stage:
            continue
        given, place = stage.pop(part), (*at, part)
        table = {"method": given} if isinstance(given, str) else given
        if not isinstance(table, dict):
            problems.add(place, f"must be the name of a method, or a table, not {shown(given)}")
            continue
        table = dict(table)
        before = len(problems.texts)
        _check_method(table, table.get("method"), place, problems)
        checked = check_table(Part, table, place, problems)
        if checked is None or len(problems.texts) > before:
            continue
        try:
            check_part(part, registry.find(table["method"]))
        except UserError as error:
            problems.add(place, str(error))
            continue
        stage[part] = table
