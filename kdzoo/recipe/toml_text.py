"""A recipe as TOML text, as it is kept beside its results."""

from __future__ import annotations

import json
import re
from typing import Any

from kdzoo.recipe.schema import Recipe


def resolved_toml(recipe: Recipe) -> str:
    """Write a recipe with all its defaults; reading the text again gives an equal recipe."""
    content = recipe.model_dump(mode="json", by_alias=True, exclude_none=True)
    lines = [f"{key} = {_value(value)}" for key, value in content.items() if not _is_table(value)]
    for key, value in content.items():
        if isinstance(value, dict):
            lines += ["", f"[{_key(key)}]", *(f"{_key(k)} = {_value(v)}" for k, v in value.items())]
    for stage in content["stage"]:
        lines += ["", "[[stage]]", *(f"{_key(k)} = {_value(v)}" for k, v in stage.items())]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict) for v in value))


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for the delete character, which TOML wants escaped
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, dict):
        inside = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return "{ " + inside + " }" if inside else "{}"
    raise TypeError(f"TOML has no {type(value).__name__}")


def _float(value: float) -> str:
    text = repr(value)
    return text if any(c in text for c in ".naif") else text.replace("e", ".0e") if "e" in text else f"{text}.0"
