"""``kdzoo chat``: ask the model that a run has trained."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from kdzoo.commands.imported_for_good import imported_for_good
from kdzoo.commands.quiet_libraries import quiet_libraries

if TYPE_CHECKING:
    from kdzoo.engine.prompts.chat import Turns
    from kdzoo.runs.answering import Answered, AnsweringModel
    from kdzoo.runs.asked_data import AskedData
    from kdzoo.runs.trained_stage import TrainedStage
    from kdzoo.tasks.sql import ExecutionMetric
    from kdzoo.tasks.sql.executor import SqlRowReader

_PATH = click.Path(path_type=Path)


@click.command("chat")
@click.argument("run", metavar="RUN[/STAGE]", type=_PATH)
@click.option("--ask", "questions", multiple=True, metavar="QUESTION", help="Answer this, and end.")
@click.option("--db", "name", metavar="NAME", help="Ask on this database of the run's data.")
@click.option("--database", "file", type=_PATH, metavar="FILE", help="Ask on this SQLite file.")
@click.option(
    "--rows",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="Show so many rows of a result at the most.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0, 100),
    default=0.0,
    show_default=True,
    help="Sample at this temperature; 0 decodes greedily.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of what is sampled.")
@click.option(
    "--max-new-tokens",
    "most",
    type=click.IntRange(min=1),
    metavar="N",
    help="Tokens of an answer at the most.  [default: as the recipe evaluates]",
)
def command(
    run: Path,
    questions: tuple[str, ...],
    name: str | None,
    file: Path | None,
    rows: int,
    temperature: float,
    seed: int,
    most: int | None,
) -> None:
    """Ask the model that a stage of RUN has trained; without a STAGE, the last one that has trained any.

    Prompts are written, and answers decoded, as the run's evaluation does it. Of text-to-SQL the statement is run on the
    database, which is only read, within the evaluation's limits, and its rows are shown.

    Questions are typed, or come from --ask, or from the standard input, one a line. Ctrl-D ends.
    """
    if name is not None and file is not None:
        raise click.UsageError("--db names a database of the run's data, --database a file: give one of them")
    quiet_libraries()
    from rich.console import Console

    from kdzoo.runs.asked_data import choose_data
    from kdzoo.runs.trained_stage import find_trained_stage

    found = find_trained_stage(run)
    with ExitStack() as open_:
        asked = choose_data(found, _cache(found, open_), name, file)

        with imported_for_good():
            from kdzoo.report.progress import Reporter
            from kdzoo.runs.answering import AnsweringModel

        notes = Console(stderr=True)
        model = AnsweringModel(found, asked, Reporter(notes), temperature=temperature, most=most, seed=seed)
        is_typed = not questions and _is_terminal(sys.stdin)
        if is_typed:
            click.echo(_beginning(found, asked, model), err=True)
        show = _Shown(asked, open_, rows)
        earlier: list[tuple[str, str]] = []
        for number, question in enumerate(_typed() if is_typed else questions or _piped()):
            if number > 0:
                click.echo()
                if number == 1 and not is_typed and not model.has_turns:
                    click.echo(f"note: {_turns(asked, model)}", err=True)
            answered = show.answer(model, question, earlier)
            if model.has_turns:
                earlier += [("user", question), ("assistant", answered.text)]


def _cache(found: TrainedStage, open_: ExitStack) -> Path:
    """Where what is made of data is kept: with the run, or for the time being where that cannot be written."""
    from tempfile import TemporaryDirectory

    from kdzoo.files import why_not_writable
    from kdzoo.tasks.load import CACHE

    usual = found.run.folder.parent / CACHE
    if why_not_writable(usual) is None:
        return usual
    return Path(open_.enter_context(TemporaryDirectory(prefix="kdzoo-")))


def _beginning(found: TrainedStage, asked: AskedData, model: AnsweringModel) -> str:
    on = "" if asked.database is None else f", on the database {asked.database}"
    return f"{found.stage.name} of {found.run.folder}{on}; {_turns(asked, model)}; Ctrl-D ends"


def _turns(asked: AskedData, model: AnsweringModel) -> str:
    if model.has_turns:
        return "what was said before counts"
    why = 'the recipe\'s template is "plain", which has no turns: ' if asked.asking is None else ""
    return f"{why}each question stands alone"


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty()


def _typed() -> Iterator[str]:
    """The questions that somebody types, until Ctrl-D. What was typed can be edited and found again."""
    with suppress(ImportError):
        import readline  # noqa: F401  # input() uses it
    while True:
        try:
            question = input("> ")
        except EOFError:
            click.echo()
            return
        if question.strip():
            yield _unicode(question)


def _piped() -> Iterator[str]:
    """The questions that come from elsewhere, one a line."""
    for line in sys.stdin:
        if line.strip():
            yield _unicode(line.strip())


def _unicode(text: str) -> str:
    """A text without bytes that are none, which Python keeps as halves of characters."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


class _Shown:
    """Shows answers: as they come on a terminal, and of text-to-SQL with the rows that the statement gives."""

    def __init__(self, asked: AskedData, open_: ExitStack, rows: int) -> None:
        from rich.console import Console

        self._asked = asked
        self._rows = rows
        self._console = Console(highlight=False)
        self._reader = None if asked.asking is None else _open_reader(asked, open_)

    def answer(self, model: AnsweringModel, question: str, earlier: Turns) -> Answered:
        """Let the model answer, and show what it says."""
        from kdzoo.report.printable import printable

        if _is_terminal(sys.stdout):
            answered = model.answer(question, earlier, lambda text: click.echo(printable(text), nl=False))
            click.echo()
        else:
            answered = model.answer(question, earlier)
            click.echo(printable(answered.text))
        for note in _notes(answered, has_earlier=bool(earlier)):
            click.echo(f"note: {note}", err=True)
        if self._asked.asking is not None:
            if answered.judged != answered.text:
                click.echo(f"\nSQL: {printable(answered.judged)}")
            self._show_rows(answered.judged, answered.database)
        return answered

    def _show_rows(self, statement: str, database: Path | None) -> None:
        from kdzoo.commands.result_table import counted, result_table
        from kdzoo.report.printable import printable_line
        from kdzoo.report.table import print_table

        if self._reader is None or database is None:
            return
        found = self._reader.run(statement, database, self._rows)
        if found.result is None:
            click.echo(f"SQL error: {printable_line(found.reason or 'no result')}")
            return
        if found.result.rows:
            print_table(self._console, result_table(found.result))
        click.echo(counted(found.result))


def _open_reader(asked: AskedData, open_: ExitStack) -> SqlRowReader | None:
    from kdzoo.tasks import registry

    assert asked.asking is not None
    name = asked.evaluation.sql_executor
    open_rows = registry.sql_executors.find(name).open_rows
    if open_rows is None:
        click.echo(f'note: the SQL executor "{name}" shows no rows', err=True)
        return None
    metric: ExecutionMetric = "bird-ex" if asked.asking.sql_rule == "bird" else "ex"
    return open_.enter_context(open_rows(metric, asked.evaluation.time_limit))


def _notes(answered: Answered, *, has_earlier: bool) -> Iterator[str]:
    if answered.was_shortened:
        what = "what was said first is left out" if has_earlier else "it was shortened"
        yield f"the prompt is longer than the recipe's input_limit; {what}"
    if answered.was_cut:
        yield "the answer was cut off; --max-new-tokens allows more"
