"""``kdzoo show``: one method with its options."""

from __future__ import annotations

import json
from typing import Any

import click

from kdzoo.commands.list_methods import describe
from kdzoo.methods.described_fields import fields_of
from kdzoo.methods.method import StepCost
from kdzoo.methods.registry import Plugin, find, implements

_HOOKS = ("make_training_sequence", "divergence", "aux_loss")


@click.command("show")
@click.argument("method")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(method: str, as_json: bool) -> None:
    """Show METHOD: its source, what it implements, and its options with defaults and ranges."""
    plugin = find(method)
    options = fields_of(plugin.method.options)
    if as_json:
        content = {**describe(plugin), "hooks": _hooks(plugin), "options": options}
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        _print(plugin, options)


def _print(plugin: Plugin, options: list[dict[str, Any]]) -> None:
    method = plugin.method
    click.echo(f"{method.name}: {method.summary}\n")
    for label, text in (
        ("paper", method.paper),
        ("training data", method.training_data),
        ("divergence", method.divergence),
        ("auxiliary loss", method.aux_loss),
        ("passes per step", _passes(method.cost)),
        ("implements", ", ".join(_hooks(plugin)) or "the defaults only"),
        ("package", f"{plugin.package} {plugin.version}"),
    ):
        click.echo(f"{label:17}{text}")
    click.echo("\noptions:" if options else "\nno options")
    for row in options:
        default = "absent" if row["default"] is None else json.dumps(row["default"], ensure_ascii=False)
        allowed = row["type"]
        if "choices" in row:
            allowed = ", ".join(json.dumps(choice, ensure_ascii=False) for choice in row["choices"])
        elif "range" in row:
            allowed += f" {row['range']}"
        click.echo(f"  {row['name']} = {default}  ({allowed})")
        if row["description"]:
            click.echo(f"      {row['description']}")


def _hooks(plugin: Plugin) -> list[str]:
    return [hook for hook in _HOOKS if implements(plugin, hook)]


def _passes(cost: StepCost) -> str:
    """What a step costs, in words: "2 student, 1 student without gradients, 1 teacher"."""
    counts = (
        (cost.student, "student"),
        (cost.student_no_grad, "student without gradients"),
        (cost.teacher, "teacher"),
        (cost.generation, "generated token by token"),
    )
    return ", ".join(f"{count:g} {what}" for count, what in counts if count)
