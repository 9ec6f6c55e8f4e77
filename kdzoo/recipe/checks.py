"""Checks a table of a recipe against its pydantic model and words what is wrong with it."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from kdzoo.recipe.lines import Key
from kdzoo.recipe.names import check_name
from kdzoo.recipe.problems import Problems
from kdzoo.recipe.stages import option_name
from kdzoo.recipe.toml_text import toml_value
from kdzoo.spelling import did_you_mean, hint, nearest

Model = TypeVar("Model", bound=BaseModel)

_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "finite_number": "a finite number",
}

_OUT_OF_RANGE = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


def check_table(
    model: type[Model],
    table: Any,
    at: Key,
    problems: Problems,
    *,
    unknown: str = "unknown key",
    elsewhere: Mapping[str, str] | None = None,
) -> Model | None:
    """Give the table as its model, and note every problem in it.

    A table with problems is given without the keys that have them, so that the rest can be checked too; None
    if nothing remains to be checked. ``unknown`` is how an unknown key is called, ``elsewhere`` says of
    keys that belong to another table how they are written there.
    """
    if not isinstance(table, dict):
        problems.add(at, f"must be a table, not {shown(table)}")
        return None
    errors = _errors(model, table)
    _report(model, errors, at, problems, unknown, elsewhere or {})
    rest = _without_wrong(table, errors)
    if errors:
        # pydantic looks for conflicts between keys only where each key by itself is right
        conflicts = {path: found for path, found in _errors(model, rest).items() if _conflicting(found, rest)}
        _report(model, conflicts, at, problems, unknown, {})
        rest = _without_wrong(rest, conflicts)
    return None if errors and _errors(model, rest) else _read(model, rest)


def check_keys(model: type[BaseModel], table: dict[str, Any], at: Key, problems: Problems) -> dict[str, Any]:
    """Give the keys of a table that are right, each by itself, and note every problem with the others.

    For a table that only changes some keys of another: how they fit together shows when both are merged.
    """
    right = {}
    for key, value in table.items():
        errors = _errors(model, {key: value})
        if set(errors) <= {()}:
            right[key] = value
        else:
            check_table(model, {key: value}, at, problems)
    return right


def named_tables(key: str, tables: Any, problems: Problems) -> Iterator[tuple[str, Any]]:
    """The tables of a table of tables that have a right name."""
    if not isinstance(tables, dict):
        problems.add((key,), f"must be tables by name, [{key}.NAME], not {shown(tables)}")
        return
    for name, table in tables.items():
        try:
            check_name(name)
        except ValueError as error:
            problems.add((key, name), f"a name {error}")
        else:
            yield name, table


def names_of(model: type[BaseModel] | None) -> list[str]:
    """The keys that a table of this model may have."""
    return [] if model is None else [option_name(model, key) for key in model.model_fields]


def shown(value: Any) -> str:
    """A value as it would stand in a recipe, cut where it is long."""
    text = toml_value(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _report(
    model: type[BaseModel],
    errors: Mapping[Key, list[Any]],
    at: Key,
    problems: Problems,
    unknown: str,
    elsewhere: Mapping[str, str],
) -> None:
    for path, found in errors.items():
        if path and found[0]["type"] == "extra_forbidden":
            names = names_of(_owner(model, path))
            right = _right_spelling(str(path[-1]), names, elsewhere if len(path) == 1 else {})
            problems.add((*at, *path), unknown + right)
        elif found[0]["type"] == "conflict":
            keys = [(*at, *path, key) for key in found[0]["ctx"]["keys"]] or [(*at, *path)]
            problems.add(keys[0], found[0]["msg"], *keys[1:])
        else:
            # which keys a table needs depends on its kind
            others = [(*at, *path[:-1], "kind")] if found[0]["type"] == "missing" else []
            problems.add((*at, *path), _worded(found, _field(model, path)), *others)


def _right_spelling(name: str, names: list[str], elsewhere: Mapping[str, str]) -> str:
    if name in elsewhere:
        return f"; write it as {elsewhere[name]}"
    near = nearest(name, elsewhere)
    if nearest(name, names) is None and near is not None:
        return did_you_mean(elsewhere[near], [elsewhere[near]])
    return hint(name, names)


def _conflicting(found: list[Any], table: Mapping[str, Any]) -> bool:
    """Whether an error is a conflict between keys that all stand in the table."""
    keys = found[0].get("ctx", {}).get("keys", ())
    return found[0]["type"] == "conflict" and bool(keys) and all(key in table for key in keys)


def _without_wrong(table: Any, errors: Mapping[Key, list[Any]]) -> Any:
    """The table without the keys that have errors; a table that misses a key is left out as a whole."""
    for path, found in errors.items():
        keys = found[0].get("ctx", {}).get("keys", ()) if found[0]["type"] == "conflict" else ()
        is_missing = found[0]["type"] == "missing"
        table = _without(table, (*path, keys[0]) if keys else path[:-1] if is_missing else path)
    return table


def _read(model: type[Model], table: Any) -> Model:
    # strict JSON is what TOML's types mean: lists may fill tuples, whole numbers floats, nothing else is bent
    return model.model_validate_json(json.dumps(table), strict=True)


def _errors(model: type[BaseModel], table: Any) -> dict[Key, list[Any]]:
    """All errors by the key they belong to; the members of a union have an error each."""
    try:
        _read(model, table)
    except ValidationError as error:
        grouped: dict[Key, list[Any]] = defaultdict(list)
        for problem in error.errors():
            grouped[_clean(problem, table)].append(problem)
        return dict(grouped)
    return {}


def _clean(problem: Any, table: Any) -> Key:
    """The key of an error, without what pydantic adds for the members of a union ("str", "tuple")."""
    path: Key = ()
    for part in problem["loc"]:
        if isinstance(table, dict) and (part in table or problem["type"] == "missing"):
            path, table = (*path, part), table.get(str(part))
        elif isinstance(table, list) and isinstance(part, int) and part < len(table):
            path, table = (*path, part), table[part]
        else:
            break
    return path


def _worded(found: list[Any], field: FieldInfo | None) -> str:
    # of the members of a union, the one that the value has the type of
    first = next((problem for problem in found if problem["type"] in _OUT_OF_RANGE), found[0])
    error, context, given = first["type"], first.get("ctx", {}), shown(first["input"])
    if error == "missing":
        return "is missing"
    wanted = list(dict.fromkeys(_WANTED[f["type"]] for f in found if f["type"] in _WANTED))
    if wanted and error not in _OUT_OF_RANGE:
        return f"must be {' or '.join(wanted)}, not {given}"
    if error == "literal_error":
        allowed = re.findall(r"'([^']*)'", context["expected"])
        return f"must be {one_of(allowed)}, not {given}" + did_you_mean(first["input"], allowed)
    if error in _OUT_OF_RANGE:
        return f"must be {_range(context if field is None else _bounds(field) or context)}, not {given}"
    if error == "string_too_short":
        return "must not be empty"
    if error == "value_error":
        return f"{context['error']}, not {given}"
    text = str(first["msg"])
    return f"{text.replace('Input should be', 'must be')}, not {given}"


def one_of(names: list[str]) -> str:
    """Names as a choice: "a", "b" or "c"."""
    quoted = [f'"{name}"' for name in names]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def _bounds(field: FieldInfo) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    for part in field.metadata:
        bounds |= {name: getattr(part, name) for name in ("gt", "ge", "lt", "le") if hasattr(part, name)}
    return bounds


def _range(bounds: Mapping[str, Any]) -> str:
    words = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}
    numbers = {
        name: int(value) if value == int(value) else value for name, value in bounds.items() if name in words
    }
    return " and ".join(f"{words[name]} {value}" for name, value in numbers.items())


def _field(model: type[BaseModel], path: Key) -> FieldInfo | None:
    owner = _owner(model, path)
    if owner is None or not path:
        return None
    return next((f for k, f in owner.model_fields.items() if path[-1] in (k, option_name(owner, k))), None)


def _owner(model: type[BaseModel], path: Key) -> type[BaseModel] | None:
    """The model of the table that the last key of the path stands in."""
    owner: type[BaseModel] | None = model
    for part in path[:-1]:
        if owner is None:
            return None
        field = _field(owner, (part,))
        owner = None if field is None else _model_in(field.annotation)
    return owner


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for m in map(_model_in, get_args(annotation)) if m is not None), None)


def _without(table: Any, path: Key) -> Any:
    """The table without one of its keys."""
    if not path:
        return table
    if isinstance(table, list):
        return [_without(v, path[1:]) if i == path[0] else v for i, v in enumerate(table) if path != (i,)]
    if not isinstance(table, dict):
        return table
    return {k: _without(v, path[1:]) if k == path[0] else v for k, v in table.items() if path != (k,)}
