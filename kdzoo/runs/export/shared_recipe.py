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


def without_places(recipe: Recipe, beside: str = ".") -> str:
    """The resolved recipe as TOML. A local path is written as ``./NAME``, or in the folder ``beside`` it; hub names stay. It
    reads as a recipe again.
    """
    content = tomllib.loads(resolved_toml(recipe))
    for name in _MODELS:
        _shorten(content.get(name, {}), ("path",), beside)
    for table in content.get("teachers", {}).values():
        _shorten(table, ("path",), beside)
    _shorten(content["data"], _path_keys(content["data"]["kind"]), beside)
    for table in content.get("datasets", {}).values():
        _shorten(table, _path_keys(table["kind"]), beside)
    for name, table in content.get("evaluation_sets", {}).items():
        _shorten(table, _path_keys(recipe.set_data(name).kind), beside)
    _shorten_known(content, beside)
    return tomli_w.dumps(content)


def _path_keys(kind: str) -> tuple[str, ...]:
    return registry.datasets.find(kind).path_keys


def _shorten(table: dict[str, Any], keys: tuple[str, ...], beside: str) -> None:
    for key in keys:
        if key in table:
            table[key] = _shortened(table[key], beside)


def _shortened(value: Any, beside: str) -> Any:
    if isinstance(value, list):
        return [_shortened(one, beside) for one in value]
    return f"{beside}/{local_name(value)}" if isinstance(value, str) and os.path.isabs(value) else value


def _shorten_known(table: dict[str, Any], beside: str) -> None:
    """Whatever else names something that is on this machine, as a method's option may."""
    for key, value in table.items():
        if isinstance(value, dict):
            _shorten_known(value, beside)
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, dict):
                    _shorten_known(one, beside)
        elif isinstance(value, str) and os.path.isabs(value) and len(value) > 1 and _exists(value):
            table[key] = _shortened(value, beside)


def _exists(path: str) -> bool:
    try:
        return os.path.exists(path)
    except (OSError, ValueError):
        return False
