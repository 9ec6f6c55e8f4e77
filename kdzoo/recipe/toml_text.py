"""A recipe as TOML text, as it is kept beside its results, and single values for messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tomli_w

if TYPE_CHECKING:
    from kdzoo.recipe.schema import Recipe


def resolved_toml(recipe: Recipe) -> str:
    """Write a recipe with all its defaults; reading the text again gives an equal recipe."""
    content = recipe.model_dump(mode="json", by_alias=True, exclude_none=True)
    stages = [
        {"kind": stage.pop("kind"), "name": stage.pop("name"), **stage} for stage in content.pop("stage")
    ]
    given = {key: value for key, value in content.items() if value != {}}
    return tomli_w.dumps({**given, "stage": stages})


def toml_value(value: Any) -> str:
    """Write one value as TOML, on one line.

    Raises:
        TypeError: TOML has no such value (None, for example).
    """
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, dict):
        inside = ", ".join(f"{_key(key)} = {toml_value(inner)}" for key, inner in value.items())
        return "{ " + inside + " }" if inside else "{}"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").removesuffix("\n")


def _key(key: str) -> str:
    return tomli_w.dumps({key: 0}).removesuffix(" = 0\n")
