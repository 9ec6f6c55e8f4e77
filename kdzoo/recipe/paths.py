"""Paths in a recipe: environment variables, the recipe's folder, and whether what they name is there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from kdzoo.errors import UserError
from kdzoo.recipe.problems import Problems
from kdzoo.recipe.schema import Recipe
from kdzoo.tasks import registry

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
# A name on a model hub: "gpt2", "Qwen/Qwen1.5-0.5B". Anything else is a folder.
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def resolve(content: dict[str, Any], folder: Path, problems: Problems) -> None:
    """Expand variables in all paths of a recipe's parsed content, and make those that exist absolute.

    ``${NAME}`` and ``${NAME:-default}`` are expanded; the default also replaces an empty value. A relative
    path that exists in the recipe's folder is taken from there, else from the working directory; one that
    exists in neither stays as it is (a model's may be a hub name).
    """
    for table in ("data", "teacher", "student", "tokenizer"):
        values = content.get(table)
        if not isinstance(values, dict):
            continue
        for key in _data_keys(values.get("kind")) if table == "data" else ("path",):
            if isinstance(values.get(key), str):
                try:
                    values[key] = _located(_expanded(values[key]), folder)
                except _ExpansionError as error:
                    problems.add((table, key), str(error))


def _data_keys(kind: Any) -> tuple[str, ...]:
    """The keys of [data] that hold a path; of a dataset that cannot be had, none: that is told elsewhere."""
    try:
        return registry.datasets.find(kind).path_keys if isinstance(kind, str) else ()
    except UserError:
        return ()


def check_paths(recipe: Recipe) -> None:
    """Check that the data of a recipe are there, and that models named by a folder are.

    Raises:
        UserError: one line for each that is missing, with file, line and key.
    """
    problems = Problems.of(recipe)
    for key, path in recipe.dataset.missing(recipe.data):
        wanted = "the folder of a dataset" if os.path.isfile(path) else "a file of examples"
        what = f"{path} is not {wanted}" if os.path.exists(path) else f"there is no {path}"
        problems.add(("data", key), f"{what}; --rehearse runs the recipe without it")
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
    for table, config in (
        ("tokenizer", recipe.tokenizer),
        ("teacher", recipe.teacher),
        ("student", recipe.student),
    ):
        path = None if config is None else config.path
        if path is None or os.path.isdir(path):
            continue
        if os.path.exists(path):
            problems.add((table, "path"), f"{path} is a file, not the folder of a model")
        elif not _HUB_NAME.fullmatch(path):
            problems.add((table, "path"), f"there is no folder {path}, and it cannot be a hub name")


def missing_data(recipe: Recipe) -> tuple[str, str] | None:
    """Give the key and path of data that is not there, or None."""
    return next(recipe.dataset.missing(recipe.data), None)


class _ExpansionError(Exception):
    pass


def _expanded(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        name, default = match.groups()
        found = os.environ.get(name) or default
        if found is None:
            raise _ExpansionError(
                f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}"
            )
        return found

    expanded = _VARIABLE.sub(value, text)
    if "${" in _VARIABLE.sub("", text):
        raise _ExpansionError("write a variable as ${NAME} or ${NAME:-default}")
    return os.path.expanduser(expanded)


def _located(text: str, folder: Path) -> str:
    for path in (os.path.join(folder, text), text):
        if text and os.path.exists(path):
            return os.path.abspath(path)
    return text
