"""``kdzoo show``: one method with its options."""

from __future__ import annotations

import json
from typing import Any

import click

from kdzoo.commands.list_methods import cost_text, describe
from kdzoo.registry import Plugin, find, implements

_HOOKS = ("make_training_sequence", "divergence", "aux_loss")


@click.command("show")
@click.argument("method")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(method: str, as_json: bool) -> None:
    """Show METHOD: its source, what it implements, and its options with defaults and ranges."""
    plugin = find(method)
    if as_json:
        content = {**describe(plugin), "hooks": _hooks(plugin), "options": option_rows(plugin)}
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    described = plugin.method
    click.echo(f"{described.name}: {described.summary}\n")
    for label, text in (
        ("paper", described.paper),
        ("training data", described.training_data),
        ("divergence", described.divergence),
        ("auxiliary loss", described.aux_loss),
        ("passes per step", cost_text(described.cost)),
        ("implements", ", ".join(_hooks(plugin)) or "the defaults only"),
        ("package", f"{plugin.package} {plugin.version}"),
    ):
        click.echo(f"{label:16}{text}")
    click.echo("\noptions:" if option_rows(plugin) else "\nno options")
    for row in option_rows(plugin):
        click.echo(f"  {row['name']} = {_toml(row['default'])}  ({row['type']})\n      {row['description']}")


def option_rows(plugin: Plugin) -> list[dict[str, Any]]:
    """Each option's name, default, type with its range, and description."""
    schema = plugin.method.options.model_json_schema(by_alias=True)
    return [
        {
            "name": name,
            "default": field.get("default"),
            "type": _type(field),
            "description": field.get("description", ""),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _hooks(plugin: Plugin) -> list[str]:
    return [hook for hook in _HOOKS if implements(plugin, hook)]


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return "one of " + ", ".join(_toml(value) for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(_type(part) for part in field["anyOf"])
    text = {"null": "absent"}.get(field.get("type", "any"), field.get("type", "any"))
    limits = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {field[key]:g}" for key, sign in limits.items() if key in field]
    return " ".join([text, " and ".join(bounds)]).strip()


def _toml(value: Any) -> str:
    return "absent" if value is None else json.dumps(value, ensure_ascii=False)
