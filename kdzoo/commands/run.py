"""``kdzoo run``: run a recipe."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path

import click
from rich.console import Console


@click.command("run")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--set", "overrides", multiple=True, metavar="STAGE.KEY=VALUE", help="Change one value of the recipe."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Where runs are kept.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and write nothing.")
@click.option("--rehearse", is_flag=True, help="Run every stage with tiny random models and a few steps.")
@click.option("--quiet", is_flag=True, help="Print the final table only.")
def command(
    recipe: Path, overrides: tuple[str, ...], out: Path, dry_run: bool, rehearse: bool, quiet: bool
) -> None:
    """Run the stages of RECIPE in order, reusing those that are finished.

    An interrupted run continues where it stopped when it is started again. Ctrl-C, and the signal that `kill` sends,
    let a training write a checkpoint after the step that it is at; a second one ends at once.
    """
    from kdzoo.recipe import check_model_paths, check_paths, load_recipe, missing_data, rehearsed
    from kdzoo.runs.interruption import Interrupted, Interruption

    loaded = load_recipe(recipe, overrides)
    if rehearse:
        for path in dict.fromkeys(path for _, path in missing_data(loaded)):
            click.echo(f"rehearsal: {path} is not there, the embedded benchmark stands in", err=True)
        loaded = rehearsed(loaded)
    elif dry_run:
        check_model_paths(loaded)
    else:
        check_paths(loaded)
    _quiet_libraries()
    if dry_run:
        from kdzoo.runs.dry_run import print_dry_run

        print_dry_run(loaded, out, Console())
        return
    interruption = Interruption()
    try:
        with interruption.handled():
            from kdzoo.report.progress import Reporter
            from kdzoo.runs import pipeline

            pipeline.run(loaded, out, Reporter(Console(), quiet=quiet), interruption)
    except Interrupted as interrupted:
        click.echo("kdzoo: interrupted; the same command continues", err=True)
        sys.exit(interrupted.exit_code)


def _quiet_libraries() -> None:
    """Keep other libraries' notices off the screen; their errors stay."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module="torch|transformers|accelerate|peft")
