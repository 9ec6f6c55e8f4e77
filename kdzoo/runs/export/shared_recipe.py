"""A run's recipe for other people's eyes: whole, but for where things lie on the machine that it ran on."""

from __future__ import annotations

import os
import tomllib
from pathlib import PurePath
from typing import Any

import tomli_w

from kdzoo.recipe import Recipe, resolved_toml
from kdzoo.tasks import registry

_MODELS = ("teacher", "student", "tokenizer")


def local_name(path: str) -> str:
    """What to call a folder or file of this machine: its last name alone."""
    return PurePath(path).name or "folder"


def without_places(recipe: Recipe) -> str:
    """The resolved recipe as TOML. A local path is written as ``./NAME``; hub names stay. It reads as a recipe again."""
    content = tomllib.loads(resolved_toml(recipe))
    for name in _MODELS:
        _shorten(content.get(name, {}), ("path",))
    for table in content.get("teachers", {}).values():
        _shorten(table, ("path",))
    _shorten(content["data"], _path_keys(content["data"]["kind"]))
    for table in content.get("datasets", {}).values():
        _shorten(table, _path_keys(table["kind"]))
    for name, table in content.get("evaluation_sets", {}).items():
        _shorten(table, _path_keys(recipe.set_data(name).kind))
    _shorten_known(content)
    return tomli_w.dumps(content)


def _path_keys(kind: str) -> tuple[str, ...]:
    return registry.datasets.find(kind).path_keys


def _shorten(table: dict[str, Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        if key in table:
            table[key] = _shortened(table[key])


def _shortened(value: Any) -> Any:
    if isinstance(value, list):
        return [_shortened(one) for one in value]
    return f"./{local_name(value)}" if isinstance(value, str) and os.path.isabs(value) else value


def _shorten_known(table: dict[str, Any]) -> None:
    """Whatever else names something that is on this machine, as a method's option may."""
    for key, value in table.items():
        if isinstance(value, dict):
            _shorten_known(value)
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, dict):
                    _shorten_known(one)
        elif isinstance(value, str) and os.path.isabs(value) and len(value) > 1 and _exists(value):
            table[key] = _shortened(value)


def _exists(path: str) -> bool:
    try:
        return os.path.exists(path)
    except (OSError, ValueError):
        return False
