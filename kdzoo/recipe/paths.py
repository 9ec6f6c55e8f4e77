"""Paths in a recipe: environment variables, the recipe's folder, and whether what they name is there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from kdzoo.errors import UserError
from kdzoo.recipe.schema import Recipe

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def resolve(content: dict[str, Any], folder: Path) -> None:
    """Expand variables in all paths of a recipe's parsed content, and find relative ones beside the recipe.

    ``${NAME}`` and ``${NAME:-default}`` are expanded. A relative path that exists in the recipe's folder is taken
    from there, otherwise from the working directory; a model's path that exists nowhere is a hub name and stays.
    """
    for table in ("data", "teacher", "student", "tokenizer"):
        values = content.get(table)
        if not isinstance(values, dict):
            continue
        keys = ("path",)
        if table == "data" and values.get("kind") == "jsonl":
            keys = ("train", "evaluation")
        for key in keys:
            if isinstance(values.get(key), str):
                values[key] = _located(_expanded(values[key], f"{table}.{key}"), folder)


def missing_data(recipe: Recipe) -> tuple[str, str] | None:
    """Give the key and path of data that is not there, or None."""
    data = recipe.data
    if data.kind == "jsonl":
        for key, path in (("train", data.train), ("evaluation", data.evaluation)):
            if not Path(path).is_file():
                return key, path
        return None
    if data.kind != "embedded" and not Path(data.path).is_dir():
        return "path", data.path
    return None


def _expanded(text: str, key: str) -> str:
    def value(match: re.Match[str]) -> str:
        name, default = match.groups()
        found = os.environ.get(name) or default
        if found is None:
            raise UserError(f"{key}: the environment variable {name} is not set")
        return found

    return os.path.expanduser(_VARIABLE.sub(value, text))


def _located(text: str, folder: Path) -> str:
    if not os.path.isabs(text) and not Path(text).exists() and (folder / text).exists():
        return str(folder / text)
    return text
