"""``kdzoo list``: the installed methods side by side."""

from __future__ import annotations

import json
from typing import Any

import click

from kdzoo.method import StepCost
from kdzoo.registry import Plugin, discover


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Compare the installed methods: what they train on, their losses, and what a step costs.

    Costs count passes over target-length sequences; reading the prompt once per model comes on top.
    """
    zoo = discover()
    for broken in zoo.broken:
        click.echo(f"warning: the method {broken.name!r} of {broken.package} cannot be loaded: {broken.reason}", err=True)
    plugins = [zoo.plugins[name] for name in sorted(zoo.plugins)]
    if as_json:
        click.echo(json.dumps([describe(plugin) for plugin in plugins], indent=2, ensure_ascii=False))
        return
    _print(plugins)


def describe(plugin: Plugin) -> dict[str, Any]:
    """One method as a JSON object."""
    method = plugin.method
    return {
        "name": method.name,
        "summary": method.summary,
        "paper": method.paper,
        "training_data": method.training_data,
        "divergence": method.divergence,
        "aux_loss": method.aux_loss,
        "cost": {
            "student": method.cost.student,
            "student_no_grad": method.cost.student_no_grad,
            "teacher": method.cost.teacher,
            "generation": method.cost.generation,
        },
        "uses_teacher": method.uses_teacher,
        "package": plugin.package,
        "version": plugin.version,
    }


def cost_text(cost: StepCost) -> str:
    """A step's cost in words: "2 student + 1 without gradients, 1 teacher"."""
    student = f"{cost.student:g} student"
    if cost.student_no_grad:
        student += f" + {cost.student_no_grad:g} without gradients"
    parts = [student]
    if cost.teacher:
        parts.append(f"{cost.teacher:g} teacher")
    if cost.generation:
        parts.append(f"{cost.generation:g} generation")
    return ", ".join(parts)


def _print(plugins: list[Plugin]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_edge=False)
    for heading in ("method", "training data", "divergence", "auxiliary loss", "passes per step", "package"):
        table.add_column(heading, overflow="fold")
    for plugin in plugins:
        method = plugin.method
        table.add_row(
            method.name,
            method.training_data,
            method.divergence,
            method.aux_loss,
            cost_text(method.cost),
            f"{plugin.package} {plugin.version}",
        )
    console = Console()
    if not console.is_terminal:
        console = Console(width=220)  # a pipe has no width to fit
    console.print(table)
