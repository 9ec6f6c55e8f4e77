"""``kdzoo show``: one method with its options."""

from __future__ import annotations

import inspect
import json
from typing import Any

import click

from kdzoo.commands.list_methods import describe, hooks_implemented
from kdzoo.errors import RunError
from kdzoo.methods.described_fields import fields_of
from kdzoo.methods.method import StepCost
from kdzoo.methods.registry import Plugin, find


@click.command("show")
@click.argument("method")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--source", is_flag=True, help="Print the method's own code.")
def command(method: str, as_json: bool, source: bool) -> None:
    """Show METHOD: its paper, what it implements, and its options with defaults and ranges."""
    if as_json and source:
        raise click.UsageError("--json and --source exclude each other")
    plugin = find(method)
    if source:
        click.echo(_source(plugin), nl=False)
    elif as_json:
        click.echo(json.dumps(describe(plugin), indent=2, ensure_ascii=False))
    else:
        _print(plugin, fields_of(plugin.method.options))


def _source(plugin: Plugin) -> str:
    """The text of the module that implements a method.

    Raises:
        RunError: there is none that can be read.
    """
    try:
        return inspect.getsource(plugin.module)
    except (OSError, TypeError):
        module = plugin.module.__name__
        raise RunError(f"{plugin.method.name}: the module {module} has no source that can be read") from None


def _print(plugin: Plugin, options: list[dict[str, Any]]) -> None:
    method = plugin.method
    click.echo(f"{method.name}: {method.summary}\n")
    for label, text in (
        ("paper", method.paper),
        ("year", "unknown" if method.publication_year is None else str(method.publication_year)),
        ("training data", method.training_data),
        ("divergence", method.divergence),
        ("auxiliary loss", method.aux_loss),
        ("passes per step", _passes(method.cost)),
        ("implements", ", ".join(hooks_implemented(plugin)) or "the defaults only"),
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


def _passes(cost: StepCost) -> str:
    """What a step costs, in words: "2 student, 1 student without gradients, 1 teacher"."""
    counts = (
        (cost.student, "student"),
        (cost.student_no_grad, "student without gradients"),
        (cost.teacher, "teacher"),
        (cost.generation, "generated token by token"),
    )
    return ", ".join(f"{count:g} {what}" for count, what in counts if count)
