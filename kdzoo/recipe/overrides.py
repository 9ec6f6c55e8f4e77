"""``--set stage.key=value``: changing a recipe from the command line."""

from __future__ import annotations

from typing import Any

from kdzoo.errors import UserError
from kdzoo.recipe.head import RecipeHead
from kdzoo.recipe.lines import Key
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.stages import STAGES
from kdzoo.recipe.toml_reader import NotTOMLError, parse_toml
from kdzoo.spelling import hint

HEAD = tuple(RecipeHead.model_fields)
TABLES = tuple(key for key in Recipe.model_fields if key not in (*HEAD, "stages"))


def apply_override(content: dict[str, Any], override: str) -> Key:
    """Set one value of a recipe's parsed content and give the path of the key that was set.

    The first part names a stage, a table, or a key before all tables (``seed``); whether the rest is a key that exists is
    checked with the whole recipe. A stage's settings may be written without their table: ``kid.epochs=2`` is
    ``kid.training.epochs=2``. The value is TOML, or else a bare string.

    Raises:
        UserError: the override is not of that form, or its first part names nothing.
    """
    target, equals, text = override.partition("=")
    parts = [part.strip() for part in target.split(".")]
    if not equals or not all(parts):
        raise UserError("write it as stage.key=value, for example --set training.epochs=2")
    path, parts = _target(content, parts)
    node: Any = content
    for part in path:
        node = node[part]
    for part in parts[:-1]:
        node = node.setdefault(part, {})
        path = (*path, part)
        if not isinstance(node, dict):
            raise UserError(f'"{part}" holds a value, not a table')
    node[parts[-1]] = parse_value(text.strip())
    return (*path, parts[-1])


def _target(content: dict[str, Any], parts: list[str]) -> tuple[Key, list[str]]:
    """Where the override begins, and the keys from there on."""
    first, *rest = parts
    stages = content.get("stage")
    stages = stages if isinstance(stages, list) else []
    for index, stage in enumerate(stages):
        if isinstance(stage, dict) and stage.get("name") == first and rest:
            return ("stage", index), _with_table(stage.get("kind"), rest)
    if first in TABLES or (first in HEAD and not rest):
        return (), parts
    names = [
        stage["name"] for stage in stages if isinstance(stage, dict) and isinstance(stage.get("name"), str)
    ]
    if first in HEAD:
        raise UserError(f'"{first}" holds a value, not a table')
    if first in names:
        raise UserError(f'"{first}" is a stage; name the key too, for example {first}.options.alpha=0.3')
    raise UserError(f'no stage or table "{first}"{hint(first, [*names, *TABLES, *HEAD])}')


def _with_table(kind: Any, keys: list[str]) -> list[str]:
    stage = STAGES.get(kind) if isinstance(kind, str) else None
    if stage is not None and keys[0] in stage.table_model.model_fields:
        return [stage.table, *keys]
    return keys


def parse_value(text: str) -> Any:
    """A value of the command line: TOML, or else a bare string."""
    try:
        parsed = parse_toml(f"value = {text}")
    except NotTOMLError:
        return text
    return parsed["value"] if len(parsed) == 1 else text
