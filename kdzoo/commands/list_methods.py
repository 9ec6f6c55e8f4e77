"""``kdzoo list``: the installed methods side by side."""

from __future__ import annotations

import json
from typing import Any

import click

from kdzoo.methods.registry import Plugin, discover

_LEGEND = (
    "p: teacher, q: student, y: ground truth. The last columns are the cost of a step, in passes over "
    "sequences of the target's length: the student's with gradients and without, the teacher's, and the "
    "student's generation, token by token. Reading each prompt once per model comes on top."
)


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Compare the installed methods: what they train on, their losses, and what a step costs."""
    zoo = discover()
    for broken in zoo.broken:
        what = f"warning: method {broken.name!r} of the package {broken.package} cannot be loaded"
        click.echo(f"{what}: {broken.reason}", err=True)
    plugins = [zoo.plugins[name] for name in sorted(zoo.plugins)]
    if as_json:
        click.echo(json.dumps([describe(plugin) for plugin in plugins], indent=2, ensure_ascii=False))
    else:
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


def _print(plugins: list[Plugin]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=1000, soft_wrap=True)  # a pipe has no width to fit
    narrow = console.width < 100
    table = Table(box=None, pad_edge=False, padding=(0, 1 if narrow else 2, 0, 0))
    table.add_column("method", overflow="fold")
    table.add_column("training data", overflow="fold", width=17 if narrow else None)
    table.add_column("divergence", overflow="fold", width=11 if narrow else None)
    table.add_column("aux.\nloss", overflow="fold")
    for heading in ("student", "no\ngrad", "teacher", "gen."):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("package", no_wrap=True)
    for plugin in plugins:
        method, cost = plugin.method, plugin.method.cost
        table.add_row(
            *(Text(text) for text in (method.name, method.training_data, method.divergence, method.aux_loss)),
            *(
                f"{passes:g}"
                for passes in (cost.student, cost.student_no_grad, cost.teacher, cost.generation)
            ),
            Text(plugin.package + ("\n" if narrow else " ") + plugin.version),
        )
    with console.capture() as capture:
        console.print(table)
        console.print(Text(f"\n{_LEGEND}"))
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))
