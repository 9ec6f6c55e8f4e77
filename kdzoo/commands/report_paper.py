"""``kdzoo report paper``: the paper's tables and figures, filled by runs."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("paper")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--markdown",
    "page",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write the tables as Markdown, with the stages that the numbers are from.",
)
def command(runs: tuple[Path, ...], page: Path | None) -> None:
    """Lay what RUNS have measured into the tables and figures of the paper (arXiv 2410.11371).

    RUNS are folders of runs, or of sweeps, which stand for all their runs; without any, the paper's own numbers are shown. A
    run fills the cells whose models, method, options, data and evaluation set its recipe has, whatever its name is.
    """
    from rich.console import Console

    from kdzoo.errors import RunError
    from kdzoo.files import write_text
    from kdzoo.report.paper.cells import fill
    from kdzoo.report.paper.exhibits import the_paper
    from kdzoo.report.paper.layout import heading, legend, markdown, terminal_table
    from kdzoo.report.paper.trained import trained_models
    from kdzoo.report.runs_read import Runs, read_runs
    from kdzoo.report.table import print_table

    read = read_runs(runs) if runs else Runs()
    models = [model for run in read.runs for model in trained_models(run, the_paper(), read.notes)]
    exhibits = fill(the_paper(), models)
    for note in read.notes:
        click.echo(f"note: {note}", err=True)
    console = Console()
    for exhibit in exhibits:
        click.echo(heading(exhibit))
        print_table(console, terminal_table(exhibit))
        click.echo()
    for line in legend(exhibits):
        click.echo(line)
    if page is not None:
        try:
            write_text(page, markdown(exhibits, read.notes))
        except OSError as error:
            raise RunError(f"{page}: cannot be written: {error.strerror}") from None
        click.echo(f"page: {page}")
