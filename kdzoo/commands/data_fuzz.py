"""``kdzoo data fuzz``: build test suites."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdzoo.errors import RunError, UserError

if TYPE_CHECKING:
    from kdzoo.report.progress import Reporter
    from kdzoo.tasks.sql import Judge
    from kdzoo.tasks.sql.fuzz.build import Effort, Suite
    from kdzoo.tasks.text_to_sql.questions import Question

_PATH = click.Path(path_type=Path)


@click.command("fuzz")
@click.argument("databases", type=_PATH)
@click.option("--questions", required=True, type=_PATH, help="Questions with the gold SQL to tell apart.")
@click.option("--out", type=_PATH, default=Path("test_suite"), show_default=True, help="For the suites.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--candidates", type=click.IntRange(1), default=30, show_default=True, help="Databases to try.")
@click.option("--keep", type=click.IntRange(1), default=8, show_default=True, help="At most to keep of them.")
@click.option("--mutants", type=click.IntRange(1), default=20, show_default=True, help="At most per query.")
def command(
    databases: Path, questions: Path, out: Path, seed: int, candidates: int, keep: int, mutants: int
) -> None:
    """Build test suites for the databases in DATABASES (Zhong et al. 2020).

    For each database: random databases under its schema are tried on mutants of the gold queries, queries
    that differ in one place; those that tell them apart are kept and distilled to a few. OUT gets a folder
    for each, with the database itself and NAME_fuzz1.sqlite and so on, ready for the metric ts; a folder of
    an earlier run is replaced. With OUT the same as DATABASES the files are put beside the databases.
    """
    from rich.console import Console

    from kdzoo.commands.gold_questions import read_gold_questions
    from kdzoo.report.progress import Reporter
    from kdzoo.tasks.sql import Judge
    from kdzoo.tasks.sql.fuzz.build import LIMITS, Effort

    by_database: dict[str, list[Question]] = {}
    for question in read_gold_questions(questions, databases):
        by_database.setdefault(question.db_id, []).append(question)
    console = Console(stderr=True)
    reporter = Reporter(console, quiet=not console.is_terminal)
    suites: dict[str, Suite] = {}
    effort = Effort(candidates=candidates, most_kept=keep, mutants=mutants)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with Judge(LIMITS) as judge:
            for name, asked in by_database.items():
                suites[name] = _build(name, asked, databases, out, judge, effort, seed, reporter)
        reporter.stop()
        _report(suites, out)
    except OSError as error:
        raise RunError(f"{out}: cannot be written: {error.strerror or error}") from None


def _build(
    name: str,
    questions: list[Question],
    databases: Path,
    out: Path,
    judge: Judge,
    effort: Effort,
    seed: int,
    reporter: Reporter,
) -> Suite:
    from dataclasses import replace

    from kdzoo.files import new_folder
    from kdzoo.tasks.sql.fuzz.build import build_suite
    from kdzoo.tasks.sql.journals import settled

    database = questions[0].database
    queries = [question.sql for question in questions]
    reporter.start(name, effort.candidates)
    in_place = out.resolve() == databases.resolve()
    if not in_place:
        _check_replaceable(out / name, name)
    with new_folder(out / f"{name}.fuzz" if in_place else out / name) as folder:
        suite = build_suite(database, queries, folder, judge, effort, seed, reporter.advance)
        names = [path.name for path in suite.files]
        if not in_place:
            with settled(database) as whole:
                shutil.copyfile(whole, folder / f"{name}.sqlite")
    if in_place:
        _move_beside(database, out / f"{name}.fuzz", names)
    return replace(suite, files=[(out / name) / file for file in names])


def _check_replaceable(folder: Path, name: str) -> None:
    """Replace nothing but what an earlier run has written.

    Raises:
        UserError: the folder holds something else.
    """
    for path in folder.iterdir() if folder.is_dir() else []:
        if path.name != f"{name}.sqlite" and not _is_fuzzed(path, name):
            raise UserError(f"{folder}: holds {path.name}, which is no part of a suite; name another --out")


def _is_fuzzed(path: Path, name: str) -> bool:
    return path.suffix == ".sqlite" and path.stem.removeprefix(f"{name}_fuzz").isdecimal()


def _move_beside(database: Path, folder: Path, names: list[str]) -> None:
    """Put a suite's files beside their database, instead of an earlier run's."""
    for path in list(database.parent.iterdir()):
        if _is_fuzzed(path, database.stem):
            path.unlink()
    for name in names:
        (folder / name).replace(database.parent / name)
    folder.rmdir()


def _report(suites: dict[str, Suite], out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from kdzoo.files import write_json
    from kdzoo.report.table import print_table

    table = Table(box=None, pad_edge=False)
    table.add_column("database")
    for heading in ("queries", "mutants", "caught by one database", "caught by the suite", "databases"):
        table.add_column(heading, justify="right")
    content: dict[str, Any] = {}
    for name, suite in suites.items():
        content[name] = {
            "queries": suite.queries,
            "mutants": suite.mutants,
            "caught_by_one_database": suite.caught_by_one,
            "caught_by_suite": suite.caught,
            "files": [path.name for path in suite.files],
        }
        numbers = (suite.queries, suite.mutants, suite.caught_by_one, suite.caught, 1 + len(suite.files))
        table.add_row(name, *map(str, numbers))
    of_all = list(suites.values())
    sums = (
        sum(suite.queries for suite in of_all),
        sum(suite.mutants for suite in of_all),
        sum(suite.caught_by_one for suite in of_all),
        sum(suite.caught for suite in of_all),
        sum(1 + len(suite.files) for suite in of_all),
    )
    table.add_row("all", *map(str, sums))
    write_json(out / "fuzz.json", content)
    print_table(Console(), table)
