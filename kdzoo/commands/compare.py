"""``kdzoo compare``: runs beside each other."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write one page with table, pictures and questions that needs no network.",
)
@click.option(
    "--against",
    metavar="MODEL",
    help="Test students against this model, as the table calls it, not the usual one.",
)
def command(runs: tuple[Path, ...], page: Path | None, against: str | None) -> None:
    """Compare the models of RUNS: folders of runs, or of sweeps, which stand for all their runs.

    Runs that differ in their seeds alone are put together. Scores have 95% intervals; each student is tested against the
    SFT student on the same questions.
    """
    from rich.console import Console

    from kdzoo.report.comparison import compare
    from kdzoo.report.plain_words import how_tested, said_of_tests
    from kdzoo.report.runs_read import read_runs
    from kdzoo.report.table import comparison_table, print_table

    found = compare(read_runs(runs), against)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    print_table(Console(), comparison_table(found))
    click.echo(f"\n{how_tested(found)}")
    for sentence in said_of_tests(found):
        click.echo(f"  {sentence}")
    if page is not None:
        from kdzoo.report.page import write_page

        write_page(page, found)
        click.echo(f"page: {page}")
