"""What the fields of a pydantic model are: options of a method, keys of a recipe's table. Imports no torch."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

_LIMITS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def fields_of(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Each field's name, type, choices or range where it has them, default and description.

    Types are those of JSON Schema ("absent" stands for null, "table" for an object). A field without a default is
    ``required`` and its default None, unless whoever reads it fills it in: ``unless_given`` in its ``json_schema_extra``
    then says with what.
    """
    schema = model.model_json_schema(by_alias=True)
    rows = []
    for (name, field), info in zip(
        schema.get("properties", {}).items(), model.model_fields.values(), strict=True
    ):
        kinds = _alternatives(field, schema)
        row: dict[str, Any] = {
            "name": name,
            "type": " or ".join(dict.fromkeys(_type(kind) for kind in kinds)),
        }
        choices = [value for kind in kinds for value in kind.get("enum", [])]
        if choices:
            row["choices"] = choices
        bounds = [
            f"{sign} {_number(kind[key])}" for kind in kinds for key, sign in _LIMITS.items() if key in kind
        ]
        if bounds:
            row["range"] = " and ".join(bounds)
        if "unless_given" in field:
            row["unless_given"] = field["unless_given"]
        elif info.is_required():
            row["required"] = True
        default = None if info.is_required() else info.get_default(call_default_factory=True)
        default = to_jsonable_python(default, by_alias=True)
        rows.append({**row, "default": default, "description": field.get("description", "")})
    return rows


def _alternatives(field: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The types that a field of a JSON schema allows, with references followed."""
    if "$ref" in field:
        return _alternatives(schema["$defs"][field["$ref"].rsplit("/", 1)[-1]], schema)
    if "anyOf" in field:
        return [kind for part in field["anyOf"] for kind in _alternatives(part, schema)]
    return [{**field, "enum": [field["const"]]}] if "const" in field else [field]


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def _type(kind: dict[str, Any]) -> str:
    name = str(kind.get("type", "any"))
    return {"null": "absent", "object": "table"}.get(name, name)
