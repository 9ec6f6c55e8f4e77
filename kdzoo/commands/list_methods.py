"""``kdzoo list``: the installed methods side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdzoo.methods.registry import Plugin, discover

if TYPE_CHECKING:
    from rich.table import Table

    from kdzoo.report.comparison import Comparison

_LEGEND = (
    "p: teacher, q: student, y: ground truth. The columns of numbers are the cost of a step, in passes over "
    "sequences of the target's length: the student's with gradients and without, the teacher's, and the "
    "student's generation, token by token. Reading each prompt once per model comes on top."
)

# So wide a terminal shows what was measured beside what is declared.
_ROOM_FOR_MEASURED = 150


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--results", is_flag=True, help="Show beside it what RUNS (of recipes or sweeps) have measured."
)
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
def command(as_json: bool, results: bool, runs: tuple[Path, ...]) -> None:
    """Compare the installed methods: what they train on, their losses, and what a step costs."""
    if results != bool(runs):
        raise click.UsageError("--results and the folders of runs go together: kdzoo list --results RUN...")
    zoo = discover()
    for broken in zoo.broken:
        what = f"warning: method {broken.name!r} of the package {broken.package} cannot be loaded"
        click.echo(f"{what}: {broken.reason}", err=True)
    plugins = [zoo.plugins[name] for name in sorted(zoo.plugins)]
    measured = _measured(runs) if results else None
    if as_json:
        described = [{**describe(plugin), **_measured_json(plugin, measured)} for plugin in plugins]
        click.echo(json.dumps(described, indent=2, ensure_ascii=False))
    else:
        _print(plugins, measured)


def _measured_lines(plugin: Plugin, measured: Comparison) -> list[tuple[str, tuple[str, ...]]]:
    from kdzoo.report.by_method import measured_texts, rows_by_method

    rows = rows_by_method(measured).get(plugin.method.name, [])
    return [(row.label, measured_texts(measured, row)) for row in rows]


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


def _measured(runs: tuple[Path, ...]) -> Comparison:
    from kdzoo.report.comparison import compare
    from kdzoo.report.runs_read import read_runs

    found = compare(read_runs(runs))
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    return found


def _measured_json(plugin: Plugin, measured: Comparison | None) -> dict[str, Any]:
    if measured is None:
        return {}
    from kdzoo.report.by_method import measured_json, rows_by_method

    rows = rows_by_method(measured).get(plugin.method.name, [])
    return {"measured": [measured_json(measured, row) for row in rows]}


def _print(plugins: list[Plugin], measured: Comparison | None) -> None:
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
    beside = measured is not None and console.width >= _ROOM_FOR_MEASURED
    if measured is not None and beside:
        _add_measured_columns(table, measured)
    for plugin in plugins:
        method, cost = plugin.method, plugin.method.cost
        declared: list[Text | str] = [
            *(Text(text) for text in (method.name, method.training_data, method.divergence, method.aux_loss)),
            *(
                f"{passes:g}"
                for passes in (cost.student, cost.student_no_grad, cost.teacher, cost.generation)
            ),
            Text(plugin.package + ("\n" if narrow else " ") + plugin.version),
        ]
        found = _measured_lines(plugin, measured) if measured is not None and beside else []
        if len(found) == 1 and found[0][0] == method.name:
            table.add_row(*declared, *found[0][1])
            continue
        table.add_row(*declared)
        for label, texts in found:
            table.add_row(Text(f"  {label}"), *[""] * (len(declared) - 1), *texts)
    with console.capture() as capture:
        console.print(table)
        console.print(Text(f"\n{_LEGEND}"))
        if measured is not None and not beside:
            console.print(_measured_table(plugins, measured))
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))


def _measured_table(plugins: list[Plugin], measured: Comparison) -> Table:
    """What was measured by itself, for a terminal that has no room for it beside what is declared."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title="\nmeasured", title_justify="left", box=None, pad_edge=False)
    table.add_column("method", overflow="fold")
    _add_measured_columns(table, measured)
    for plugin in plugins:
        for label, texts in _measured_lines(plugin, measured):
            table.add_row(Text(label), *texts)
    return table


def _add_measured_columns(table: Table, measured: Comparison) -> None:
    from kdzoo.report.by_method import measured_headings

    for heading in measured_headings(measured):
        table.add_column(heading, justify="right")
