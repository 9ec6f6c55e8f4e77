"""Paths in a recipe: environment variables, what they are relative to, and whether what they name is there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdzoo.errors import UserError
from kdzoo.recipe.lines import Key, line_of
from kdzoo.recipe.origin import Origin
from kdzoo.recipe.places import place_in_set, place_of_data, place_of_model
from kdzoo.recipe.problems import Problems
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.scoring import scored_sets_of
from kdzoo.recipe.sets import dataset_of
from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig

_MODELS = ("teacher", "student", "tokenizer")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
# what systems take at most: the bytes of a path, and those of a name in it
_LONGEST, _LONGEST_NAME = 4096, 255
_TOO_LONG = f"no path can be so long: {_LONGEST:,} bytes at most, and {_LONGEST_NAME} of each name in it"
# A name on a model hub: "gpt2", "Qwen/Qwen1.5-0.5B". Anything else is a folder.
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def resolve(content: dict[str, Any], origin: Origin, problems: Problems) -> None:
    """Expand variables in all paths of a recipe's parsed content, and make the paths absolute.

    A relative path is relative to where it is written: in a recipe's file to the folder of that file, on the command line
    to the working directory, and so where an environment variable gives the beginning of it. A model's path
    that is no folder there and can be a hub name stays as it is. ``${NAME}`` and ``${NAME:-default}`` are expanded; the default
    also replaces an empty value.
    """
    for key, kind, values in _tables(content):
        is_model = key[0] in (*_MODELS, "teachers")
        for name in ("path",) if is_model else _data_keys(kind):
            if name in values:
                try:
                    may_be_hub_name = is_model or name in _hub_keys(kind)
                    values[name] = _resolved(values[name], _folder(origin, (*key, name)), may_be_hub_name)
                except UserError as error:
                    problems.add((*key, name), str(error))


def _folder(origin: Origin, key: Key) -> Path:
    """The folder that a relative path is relative to that stands under a key."""
    for at, override in reversed(origin.overrides.items()):
        if key[: len(at)] == at:
            return override.folder
    line = line_of(origin.lines, key)
    return Path() if line is None else line.file.parent


def _tables(content: dict[str, Any]) -> Iterator[tuple[Key, Any, dict[str, Any]]]:
    """The tables that may hold paths, with their keys and the kind of their data."""
    data = _table(content.get("data"))
    others = _table(content.get("datasets"))
    yield ("data",), data.get("kind"), data
    for name, table in others.items():
        yield ("datasets", name), _table(table).get("kind"), _table(table)
    for name, table in _table(content.get("evaluation_sets")).items():
        named = _table(table).get("data")
        dataset = data if named is None else others.get(named) if isinstance(named, str) else None
        yield ("evaluation_sets", name), _table(dataset).get("kind"), _table(table)
    for name in _MODELS:
        yield (name,), None, _table(content.get(name))
    for name, table in _table(content.get("teachers")).items():
        yield ("teachers", name), None, _table(table)


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _data_keys(kind: Any) -> tuple[str, ...]:
    """The keys of a dataset's table that hold a path; of one that cannot be had, none: that is told elsewhere."""
    try:
        return registry.datasets.find(kind).path_keys if isinstance(kind, str) else ()
    except UserError:
        return ()


def _hub_keys(kind: Any) -> tuple[str, ...]:
    """Those of them that may hold a hub name instead."""
    return registry.datasets.find(kind).hub_keys if _data_keys(kind) else ()


def _resolved(value: Any, folder: Path, may_be_hub_name: bool) -> Any:
    """One path or several; what is neither stays as it is, and is told elsewhere."""
    if isinstance(value, list):
        return [_resolved(one, folder, may_be_hub_name) for one in value]
    if not isinstance(value, str):
        return value
    path = located(value, folder)
    is_hub_name = may_be_hub_name and _HUB_NAME.fullmatch(path.written) and not os.path.exists(path.full)
    return path.written if is_hub_name else path.full


def check_paths(recipe: Recipe) -> None:
    """Check that the data of a recipe are there, and that models named by a folder are.

    Raises:
        UserError: one line for each that is missing, with file, line and key.
    """
    problems = Problems.of(recipe)
    for key, path in missing_data(recipe):
        wanted = "the folder of a dataset" if os.path.isfile(path) else "a file of examples"
        what = f"{path} is not {wanted}" if os.path.exists(path) else f"there is no {path}"
        problems.add(key, f"{what}; --rehearse runs the recipe without it")
    _check_models(recipe, problems)
    problems.raise_if_any()


def check_model_paths(recipe: Recipe) -> None:
    """Check that models named by a folder are there; a hub name is taken as it is.

    Raises:
        UserError: one line for each that is missing, with file, line and key.
    """
    problems = Problems.of(recipe)
    _check_models(recipe, problems)
    problems.raise_if_any()


def _check_models(recipe: Recipe, problems: Problems) -> None:
    models = {place_of_model(role): model for role, model in recipe.models.items()}
    for table, config in ((("tokenizer",), recipe.tokenizer), *models.items()):
        path = None if config is None else config.path
        if path is None:
            continue
        if os.path.isdir(path):
            if not os.path.isabs(path):  # libraries would take it for a folder
                problems.add(
                    (*table, "path"),
                    f"{path} is a folder in the working directory, and a path is relative to where it is written; "
                    "write the whole path, or one from the recipe's folder",
                )
        elif os.path.exists(path):
            problems.add((*table, "path"), f"{path} is a file, not the folder of a model")
        elif not _HUB_NAME.fullmatch(path):
            problems.add((*table, "path"), f"there is no folder {path}, and it cannot be a hub name")


def missing_data(recipe: Recipe) -> list[tuple[Key, str]]:
    """Give the keys and paths of what stages read and that is not there, each once."""
    found: dict[tuple[Key, str], None] = {}
    for stage in recipe.stages:
        if stage.role is not None:
            for key, path in _missing(recipe.training_data_of(stage)):
                found[place_of_data(stage.data, key), path] = None
        for scored in scored_sets_of(recipe, stage):
            for key, path in _missing(scored.data):
                found[place_in_set(recipe, scored.name, key), path] = None
    return list(found)


def is_there(data: DataConfig) -> bool:
    """Whether all that a dataset's table names is there."""
    return not _missing(data)


def _missing(data: DataConfig) -> list[tuple[str, str]]:
    return list(dataset_of(data).missing(data))


@dataclass(frozen=True)
class Located:
    """A path with its variables expanded, and where that is."""

    written: str
    full: str


def located(text: str, folder: Path) -> Located:
    """Expand the variables of a path that is written in a file of ``folder``; an empty path stays empty.

    Raises:
        UserError: a variable is not set and has no default, or is written wrongly, or there can be no path so long.
    """
    begins_elsewhere = False
    length = len(text)

    def value(match: re.Match[str]) -> str:
        nonlocal begins_elsewhere, length
        name, default = match.groups()
        found = os.environ.get(name)
        if found and match.start() == 0:
            begins_elsewhere = True
        if not found and default is None:
            raise UserError(
                f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}"
            )
        given = found or default or ""
        length += len(given)
        if length > _LONGEST:
            raise UserError(_TOO_LONG)
        return given

    expanded = _VARIABLE.sub(value, text)
    if "${" in _VARIABLE.sub("", text):
        raise UserError("write a variable as ${NAME} or ${NAME:-default}")
    written = os.path.expanduser(expanded)
    full = os.path.abspath(os.path.join("" if begins_elsewhere else folder, written)) if written else ""
    names = os.fsencode(full).split(os.fsencode(os.sep))
    if len(full) > _LONGEST or max(map(len, names)) > _LONGEST_NAME:
        raise UserError(_TOO_LONG)
    return Located(written, full)
