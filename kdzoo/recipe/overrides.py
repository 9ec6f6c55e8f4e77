"""``--set stage.key=value``: changing a recipe from the command line."""

from __future__ import annotations

import difflib
import tomllib
from typing import Any

from kdzoo.errors import UserError
from kdzoo.recipe.lines import Key

_TABLES = ("data", "tokenizer", "teacher", "student", "training", "evaluation")
_VALUES = ("name", "seed")
_STAGE_KEYS = {"name", "kind", "model", "method", "options", "training", "student_from", "teacher_from", "models"}


def apply_override(content: dict[str, Any], override: str) -> Key:
    """Set one value of a recipe's parsed content and give the path of the key that was set.

    The first part names a stage, a table, or ``seed`` / ``name``. A training setting of a stage may be written
    without its table: ``kid.epochs=2`` is ``kid.training.epochs=2``.

    Raises:
        UserError: the override has no "=", or its first part names nothing.
    """
    target, equals, text = override.partition("=")
    parts = [part.strip() for part in target.split(".")]
    if not equals or not all(parts):
        raise UserError(f"--set {override}: write it as stage.key=value, for example --set training.epochs=2")
    value = _parse(text.strip())
    if len(parts) == 1:
        if parts[0] not in _VALUES:
            raise UserError(f"--set {override}: {parts[0]!r} has no value of its own; {_known(content, parts[0])}")
        content[parts[0]] = value
        return (parts[0],)
    stages = [stage for stage in content.get("stage", []) if isinstance(stage, dict)]
    named = [index for index, stage in enumerate(stages) if stage.get("name") == parts[0]]
    if named:
        path: Key = ("stage", named[0])
        node: Any = stages[named[0]]
        parts = parts[1:]
        if parts[0] not in _STAGE_KEYS:
            table = "evaluation" if node.get("kind") == "evaluate" else "training"
            parts = parts if parts[0] == table else [table, *parts]
    elif parts[0] in _TABLES:
        path, node = (), content
    else:
        raise UserError(f"--set {override}: the recipe has no stage or table {parts[0]!r}; {_known(content, parts[0])}")
    for part in parts[:-1]:
        node = node.setdefault(part, {})
        path = (*path, part)
        if not isinstance(node, dict):
            raise UserError(f"--set {override}: {part!r} holds a value, not a table")
    node[parts[-1]] = value
    return (*path, parts[-1])


def _parse(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a bare word is a string


def _known(content: dict[str, Any], wrong: str) -> str:
    stages = [s["name"] for s in content.get("stage", []) if isinstance(s, dict) and isinstance(s.get("name"), str)]
    known = [*stages, *_TABLES, *_VALUES]
    close = difflib.get_close_matches(wrong, known, n=1)
    return (f"did you mean {close[0]!r}? " if close else "") + f"it has {', '.join(dict.fromkeys(known))}"
