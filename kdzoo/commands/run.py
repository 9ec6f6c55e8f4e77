"""``kdzoo run``: run a recipe."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from kdzoo.commands.imported_for_good import imported_for_good
from kdzoo.commands.quiet_libraries import quiet_libraries

if TYPE_CHECKING:
    from kdzoo.recipe import Member, Sweep
    from kdzoo.runs.processes import Processes
    from kdzoo.runs.sweep import Plan
    from kdzoo.runs.sweep_jobs import MemberCommand


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
@click.option("--methods", metavar="METHOD,METHOD", help="Distil by these methods instead of the recipe's.")
@click.option("--seeds", metavar="SEED,SEED", help="Run once with each of these seeds of the student.")
@click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N", help="Run so many members of a sweep at a time."
)
@click.option(
    "--print-jobs", is_flag=True, help="Print a command line for each member of a sweep, and run nothing."
)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and write nothing.")
@click.option("--rehearse", is_flag=True, help="Run every stage with tiny random models and a few steps.")
@click.option("--fresh", is_flag=True, help="Do every stage anew, whatever is finished or half done of it.")
@click.option("--quiet", is_flag=True, help="Print the final table only.")
def command(
    recipe: Path,
    overrides: tuple[str, ...],
    out: Path,
    methods: str | None,
    seeds: str | None,
    jobs: int | None,
    print_jobs: bool,
    dry_run: bool,
    rehearse: bool,
    fresh: bool,
    quiet: bool,
) -> None:
    """Run the stages of RECIPE in order, reusing those that are finished.

    A recipe with a [sweep] stands for a run of each combination of its values; stages that these have in common are done
    once.

    An interrupted run continues where it stopped when it is started again. Ctrl-C, the signal that `kill` sends, and
    SIGUSR1 let a training write a checkpoint after the step that it is at; a second one ends at once.

    With --fresh nothing that is there counts; a finished stage is kept until the new one is. If that is interrupted, the
    command without --fresh continues it.
    """
    from kdzoo.runs.processes import Processes, launched

    if launched() > 1 and (dry_run or print_jobs or (jobs or 1) > 1):
        raise click.UsageError(
            f"{launched()} processes were launched to do a run together; --dry-run, --print-jobs and --jobs are for one alone"
        )
    quiet_libraries()
    with Processes.joined() as processes:
        with processes.main_first():
            sweep = _loaded(recipe, overrides, methods, seeds)
            if not print_jobs:
                sweep = _checked(sweep, dry_run, rehearse, tells=processes.is_main)
        member_command = _member_command(recipe, overrides, out, methods, rehearse, quiet)
        if print_jobs:
            if fresh:
                raise click.UsageError(
                    "--print-jobs runs nothing: give --fresh with the commands that it prints"
                )
            for member in sweep.members:
                click.echo(member_command.quoted(member))
            return
        if dry_run:
            _dry_run(sweep, out, fresh)
            return
        _run(sweep, out, quiet, jobs or 1, member_command, fresh, processes)


def _loaded(recipe: Path, overrides: tuple[str, ...], methods: str | None, seeds: str | None) -> Sweep:
    from kdzoo.recipe import load_sweep
    from kdzoo.recipe.method_list import split_methods
    from kdzoo.recipe.sweep import split_seeds

    return load_sweep(
        recipe,
        overrides,
        methods=[] if methods is None else split_methods(methods),
        seeds=[] if seeds is None else split_seeds(seeds),
    )


def _checked(sweep: Sweep, dry_run: bool, rehearse: bool, *, tells: bool) -> Sweep:
    """Look whether data and models are there, or make all members small."""
    from kdzoo.recipe import check_model_paths, check_paths, missing_data, rehearsed

    if rehearse:
        for path in dict.fromkeys(
            path for member in sweep.members for _, path in missing_data(member.recipe)
        ):
            if tells:
                click.echo(f"rehearsal: {path} is not there, the embedded benchmark stands in", err=True)
        members = tuple(replace(member, recipe=rehearsed(member.recipe)) for member in sweep.members)
        return replace(sweep, members=members)
    for member in sweep.members:
        (check_model_paths if dry_run else check_paths)(member.recipe)
    return sweep


def _dry_run(sweep: Sweep, out: Path, fresh: bool) -> None:
    import tempfile

    with imported_for_good():
        from kdzoo.runs.dry_run import print_dry_run
        from kdzoo.tasks.load import DataReader

    with tempfile.TemporaryDirectory() as cache:
        if not sweep.keys:
            print_dry_run(sweep.members[0].recipe, out, Console(), DataReader(Path(cache)), fresh=fresh)
            return
        from kdzoo.runs.sweep import Plan
        from kdzoo.runs.sweep_dry_run import print_sweep_dry_run

        print_sweep_dry_run(Plan.of(sweep, out), Console(), DataReader(Path(cache)), fresh=fresh)


def _run(
    sweep: Sweep,
    out: Path,
    quiet: bool,
    jobs: int,
    member_command: MemberCommand,
    fresh: bool,
    processes: Processes,
) -> None:
    from kdzoo.runs.interruption import Interrupted, Interruption
    from kdzoo.runs.next_step import how_to_continue

    interruption = Interruption()
    try:
        with interruption.handled():
            from kdzoo.report.progress import Reporter
            from kdzoo.runs.fresh import new_mark
            from kdzoo.tasks.load import DataReader

            if jobs == 1 or not sweep.keys:
                with imported_for_good():
                    from kdzoo.runs import pipeline
            reporter = Reporter(Console(quiet=not processes.is_main), quiet=quiet)
            data = DataReader.below(out)
            mark = processes.of_main(new_mark) if fresh else None

            def run(member: Member) -> None:
                # a sweep's members have been marked, all of them
                marked = None if sweep.keys else mark
                pipeline.run(member.recipe, out, reporter, interruption, data, marked, processes)

            if not sweep.keys:
                run(sweep.members[0])
                return
            from kdzoo.runs.sweep import run_in_turn, tell_end
            from kdzoo.runs.sweep_jobs import run_side_by_side

            plan = processes.of_main(lambda: _written(sweep, out, mark))
            if len(plan.runs) < len(plan.members):
                reporter.say(f"the {len(plan.members)} members come to {len(plan.runs)} different runs")
            if jobs == 1:
                failures = run_in_turn(plan, run, reporter, goes_on=processes.count == 1)
            else:
                failures = run_side_by_side(plan, member_command, jobs, reporter, interruption)
            tell_end(plan, failures, reporter)
    except Interrupted as interrupted:
        if processes.is_main:
            click.echo(f"kdzoo: interrupted; this continues it: {how_to_continue(sys.argv)}", err=True)
        sys.exit(interrupted.exit_code)


def _written(sweep: Sweep, out: Path, mark: str | None) -> Plan:
    """The plan of a sweep, kept beside its runs, which are done anew if there is a ``mark``."""
    from kdzoo.runs.sweep import Plan

    plan = Plan.of(sweep, out)
    plan.write()
    if mark is not None:
        plan.ask_anew(mark)
    return plan


def _member_command(
    recipe: Path, overrides: tuple[str, ...], out: Path, methods: str | None, rehearse: bool, quiet: bool
) -> MemberCommand:
    from kdzoo.runs.sweep_jobs import MemberCommand

    given = [part for override in overrides for part in ("--set", override)]
    named = [] if methods is None else ["--methods", methods]
    flags = [flag for flag, is_set in (("--rehearse", rehearse), ("--quiet", quiet)) if is_set]
    return MemberCommand(recipe, (*given, *named, "--out", str(out), *flags))
