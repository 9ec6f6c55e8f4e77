"""``kdzoo runs``: what stands in a folder of runs, and making room there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from kdzoo.runs.listing import ListedRun

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@click.command("runs")
@click.argument("folders", nargs=-1, metavar="[DIR]...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--prune", is_flag=True, help="Remove the checkpoints of finished stages.")
@click.option(
    "--unfinished",
    is_flag=True,
    help="With --prune, those of unfinished stages too, which then begin anew.",
)
@click.option("--dry-run", is_flag=True, help="With --prune, say what would be removed, and remove nothing.")
def command(folders: tuple[Path, ...], as_json: bool, prune: bool, unfinished: bool, dry_run: bool) -> None:
    """List the runs in each DIR ("runs" unless given), which may also be a run itself, the last written first.

    A run's size is that of its own files; a stage that it shares counts in the run that has done it. "killed" is what
    says that it runs, and does not.
    """
    from kdzoo.runs.listing import list_run, runs_in

    if (unfinished or dry_run) and not prune:
        raise click.UsageError("--unfinished and --dry-run say what --prune does: give that too")
    if prune and as_json:
        raise click.UsageError("--json lists, and --prune removes: give one of them")
    runs = runs_in(folders or (Path("runs"),))
    if prune:
        _prune(runs, unfinished=unfinished, dry_run=dry_run)
        return
    listed = sorted((list_run(run) for run in runs), key=_age)
    if as_json:
        click.echo(json.dumps([run.as_json() for run in listed], indent=2, ensure_ascii=False))
        return
    for run in listed:
        for note in run.notes:
            click.echo(f"note: {note}", err=True)
    if listed:
        _print(listed)
    else:
        click.echo("no runs")


def _age(run: ListedRun) -> tuple[float, str]:
    return (0.0 if run.written is None else -run.written.timestamp(), str(run.folder))


def _print(runs: list[ListedRun]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from kdzoo.report.table import print_table

    table = Table(box=None, pad_edge=False)
    table.add_column("run", overflow="fold")
    table.add_column("recipe", overflow="fold")
    table.add_column("status")
    table.add_column("scores", overflow="fold")
    table.add_column("size", justify="right")
    table.add_column("checkpoints", justify="right")
    table.add_column("written")
    for run in runs:
        written = "-" if run.written is None else run.written.astimezone().strftime("%Y-%m-%d %H:%M")
        cells = (
            str(run.folder),
            run.recipe,
            _status(run),
            _scores(run),
            size_text(run.size),
            size_text(run.checkpoints_size),
            written,
        )
        table.add_row(*map(Text, cells))
    print_table(Console(), table)
    click.echo(f"{size_text(sum(run.size for run in runs))} in all")


def _status(run: ListedRun) -> str:
    if run.status == "finished":
        return run.status
    process = "" if run.process is None else f", process {run.process}"
    return f"{run.status} ({run.finished_stages} of {run.of_stages} stages{process})"


def _scores(run: ListedRun) -> str:
    """Each model's first score: "kid EX 45.0%, sft EX 40.0%"."""
    from kdzoo.errors import UserError
    from kdzoo.tasks import registry

    parts = []
    for model, sets in run.scores.items():
        metric, score = next(
            ((name, score) for of in sets.values() for name, score in of.items()), ("", None)
        )
        if score is None:
            continue
        try:
            found = registry.metrics.find(metric)
            text = f"{found.heading or metric.upper()} {found.text_of(score)}"
        except UserError:  # the package that brought it is gone
            text = f"{metric} {score:g}"
        parts.append(f"{model} {text}")
    return ", ".join(parts) or "-"


def _prune(runs: list[Path], *, unfinished: bool, dry_run: bool) -> None:
    from kdzoo.runs.pruning import AtWorkError, prunable, prune

    total = 0
    for run in runs:
        try:
            freed = (prunable if dry_run else prune)(run, unfinished=unfinished)
        except AtWorkError as error:
            click.echo(f"kdzoo: {error}", err=True)
            continue
        for one in freed:
            click.echo(f"{one.path}: {size_text(one.size)}")
        total += sum(one.size for one in freed)
    click.echo(f"{'would free' if dry_run else 'freed'} {size_text(total)}")


def size_text(size: float) -> str:
    """Bytes for people, by thousands: "1.2 GB"."""
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == _UNITS[0] else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError
