"""A recipe as TOML text, as it is kept beside its results."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdzoo.recipe.schema import Recipe


def resolved_toml(recipe: Recipe) -> str:
    """Write a recipe with all its defaults; reading the text again gives an equal recipe."""
    content = recipe.model_dump(mode="json", by_alias=True, exclude_none=True)
    stages = content.pop("stage")
    lines = [
        f"{_key(key)} = {toml_value(value)}" for key, value in content.items() if not isinstance(value, dict)
    ]
    for key, value in content.items():
        if isinstance(value, dict):
            lines += ["", f"[{_key(key)}]", *_assignments(value)]
    for stage in stages:
        stage = {"kind": stage.pop("kind"), "name": stage.pop("name"), **stage}
        lines += ["", "[[stage]]", *_assignments(stage)]
    return "\n".join(lines) + "\n"


def toml_value(value: Any) -> str:
    """Write one value as TOML, on one line.

    Raises:
        TypeError: TOML has no such value (None, for example).
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)  # Python writes every number as TOML does: 1.0, 1e-05, inf, nan
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for the delete character, which TOML wants escaped
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        inside = ", ".join(_assignments(value))
        return "{ " + inside + " }" if inside else "{}"
    raise TypeError(f"TOML has no {type(value).__name__}")


def _assignments(table: dict[str, Any]) -> list[str]:
    return [f"{_key(key)} = {toml_value(value)}" for key, value in table.items()]


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)
