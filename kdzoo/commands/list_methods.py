"""``kdzoo list``: the installed methods side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdzoo.commands.many_values import WithManyValues
from kdzoo.methods import hookspecs
from kdzoo.methods.described_fields import fields_of
from kdzoo.methods.method import Method
from kdzoo.methods.registry import Plugin, discover, implements

if TYPE_CHECKING:
    from kdzoo.report.comparison import Comparison


@click.command("list", cls=WithManyValues, many_values=("--results",))
@click.argument("words", nargs=-1)
@click.option("--on-policy/--off-policy", default=None, help="Those whose student generates, or not.")
@click.option("--needs-teacher/--no-teacher", default=None, help="Those that need a teacher, or do not.")
@click.option("--since", type=int, metavar="YEAR", help="Those of papers of this year or later.")
@click.option(
    "--results",
    "runs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="RUN...",
    help="Show beside it what these runs (of recipes or sweeps) have measured.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all that `kdzoo show` says.")
def command(
    words: tuple[str, ...],
    on_policy: bool | None,
    needs_teacher: bool | None,
    since: int | None,
    runs: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Compare the installed methods: what they train on, their losses, and what a step costs.

    WORDS choose those whose name, summary or paper has all of them.
    """
    zoo = discover()
    for broken in zoo.broken:
        what = f"warning: method {broken.name!r} of the package {broken.package} cannot be loaded"
        click.echo(f"{what}: {broken.reason}", err=True)
    plugins = [
        plugin
        for _, plugin in sorted(zoo.plugins.items())
        if on_policy in (None, plugin.method.on_policy)
        and needs_teacher in (None, plugin.method.uses_teacher)
        and (since is None or (plugin.method.publication_year or 0) >= since)
        and _has(plugin.method, words)
    ]
    if not plugins:
        paths = [word for word in words if Path(word).exists()]
        advice = f"; is {paths[0]} a run? --results {paths[0]} shows what it has measured" if paths else ""
        click.echo(f"no installed method is such a one{advice}", err=True)
    measured = _measured(runs) if runs else None
    if as_json:
        described = [{**describe(plugin), **_measured_json(plugin, measured)} for plugin in plugins]
        click.echo(json.dumps(described, indent=2, ensure_ascii=False))
    elif plugins:
        from kdzoo.commands.method_table import print_methods

        print_methods(plugins, measured)


def describe(plugin: Plugin) -> dict[str, Any]:
    """One method as a JSON object."""
    method = plugin.method
    return {
        "name": method.name,
        "summary": method.summary,
        "paper": method.paper,
        "year": method.publication_year,
        "training_data": method.training_data,
        "sources": [source.name.lower() for source in method.usual_sources],
        "on_policy": method.on_policy,
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
        "hooks": hooks_implemented(plugin),
        "options": fields_of(method.options),
    }


def hooks_implemented(plugin: Plugin) -> list[str]:
    """The hooks that a method implements itself, beside its description, in the order of their specifications."""
    specified = [name for name, of in vars(hookspecs).items() if hasattr(of, f"{hookspecs.PROJECT}_spec")]
    return [hook for hook in specified if hook != "register_method" and implements(plugin, hook)]


def _has(method: Method, words: Sequence[str]) -> bool:
    text = f"{method.name} {method.summary} {method.paper}".casefold()
    return all(word.casefold() in text for word in words)


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
