"""Folders that hold an adapter: that they do, and the base that they belong to. Nothing is loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kdzoo.errors import UserError
from kdzoo.files import read_json

CONFIG = "adapter_config.json"
# The folder of a base that is kept nowhere else, beside its adapter in a run and inside an exported one.
BASE = "base"


@dataclass(frozen=True)
class Base:
    """A model that an adapter belongs to: a folder or a hub name, and the revision of the latter."""

    path: str
    revision: str | None = None


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter instead of a whole model."""
    return (folder / CONFIG).is_file()


def base_of(adapter: Path) -> Base:
    """The base that an adapter's configuration names, or the folder ``base`` beside it where that is gone. An exported adapter may have it inside.

    Raises:
        UserError: no base is named, or it leads back to the adapter.
    """
    base = _named_base(adapter)
    seen, folder = {adapter.resolve()}, Path(base.path)
    while is_adapter(folder):
        if folder.resolve() in seen:
            raise UserError(f"{adapter / CONFIG}: base_model_name_or_path leads back to the adapter itself")
        seen.add(folder.resolve())
        folder = Path(_named_base(folder).path)
    return base


def _named_base(adapter: Path) -> Base:
    file = adapter / CONFIG
    content = read_json(file)
    if not isinstance(content, dict):
        raise UserError(f"{file}: must hold a JSON object")
    named, revision = content.get("base_model_name_or_path"), content.get("revision")
    if not isinstance(named, str) or not named:
        raise UserError(f"{file}: names no base model (base_model_name_or_path is {json.dumps(named)})")
    inside, beside = adapter / BASE, adapter.parent / BASE
    if named == BASE and inside.is_dir():  # an exported adapter brings along the base that its run made
        return Base(str(inside))
    # the name of a base built from scratch is where it was made; its folder may have been moved
    if not Path(named).is_dir() and beside.is_dir():
        return Base(str(beside))
    return Base(named, revision)
