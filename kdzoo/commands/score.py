"""``kdzoo score``: judge predicted SQL by running it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from kdzoo.errors import RunError, UserError

if TYPE_CHECKING:
    from rich.table import Table

    from kdzoo.tasks.sql import ExecutionMetric, Outlook, Verdict
    from kdzoo.tasks.sql.scores import Accuracy, Summary
    from kdzoo.tasks.text_to_sql.questions import Question

_METRICS = ("ex", "ts", "bird-ex")
_PATH = click.Path(path_type=Path)


@click.command("score")
@click.option("--data", required=True, type=_PATH, help="The questions: dev.json of Spider or BIRD.")
@click.option("--databases", required=True, type=_PATH, help="The folder that holds NAME/NAME.sqlite.")
@click.option("--predictions", required=True, type=_PATH, help="One SQL query a line, JSONL, or BIRD's JSON.")
@click.option("--metric", type=click.Choice(_METRICS), default="ex", show_default=True)
@click.option(
    "--time-limit",
    type=click.FloatRange(0, 600, min_open=True),
    help="Seconds of CPU time of a query on one database.  [default: 10, for bird-ex 30]",
)
@click.option(
    "--extract",
    type=click.Choice(("auto", "none")),
    default="none",
    show_default=True,
    help="auto: judge the SQL statement in each prediction, out of fenced code or after reasoning.",
)
@click.option("--json", "out", type=_PATH, help="Write score, verdicts and errors to this file.")
@click.option(
    "--official-quirks",
    is_flag=True,
    help='Change predictions as the official Spider command does: cut at a tab, "value" becomes 1.',
)
def command(
    data: Path,
    databases: Path,
    predictions: Path,
    metric: str,
    time_limit: float | None,
    extract: str,
    out: Path | None,
    official_quirks: bool,
) -> None:
    """Judge predicted SQL by running it beside the gold SQL.

    Metrics: ex, Spider's execution accuracy; ts, its test-suite accuracy, on every .sqlite file of a
    database's folder; bird-ex, BIRD's execution accuracy. A question whose gold query fails counts as wrong,
    as for the official programs; the score without these questions is told beside.

    Every query gets its whole time limit, whatever else the file holds and however busy the machine is. Many
    endless queries take long: how long at most is told when each has been tried for a moment.
    """
    from kdzoo.commands.gold_questions import read_gold_questions
    from kdzoo.report.table import print_table
    from kdzoo.tasks.sql.scores import summary

    questions = read_gold_questions(data, databases)
    answers = _read_answers(predictions, questions, data, databases)
    if extract == "auto":
        from kdzoo.tasks.sql.extract import statement_in

        answers = [statement_in(answer) for answer in answers]
    if out is not None and not out.resolve().parent.is_dir():
        raise UserError(f"{out}: there is no folder {out.resolve().parent} to write it to")
    verdicts = _judge(questions, answers, cast("ExecutionMetric", metric), time_limit, official_quirks)
    found = summary(verdicts, [_difficulty(question, metric) for question in questions])
    _tell_gold_errors(questions, verdicts, found, data)
    if out is not None:
        _write(out, metric, verdicts, found)
    from rich.console import Console

    print_table(Console(), _score_table(metric, found))
    if found.timeouts or found.errors:
        click.echo()
        print_table(Console(), _error_table(found))


def _read_answers(file: Path, questions: list[Question], data: Path, databases: Path) -> list[str]:
    from kdzoo.commands.gold_questions import describe_gold
    from kdzoo.tasks.sql.predictions import read_predictions, without_database

    answers = read_predictions(file, describe_gold(data, questions))
    names = {folder.name for folder in databases.iterdir()}
    return [
        without_database(f"{file}: prediction {number} (question {q.id})", answer, q.db_id, names)
        for number, (answer, q) in enumerate(zip(answers, questions, strict=True), start=1)
    ]


def _judge(
    questions: list[Question],
    answers: list[str],
    metric: ExecutionMetric,
    time_limit: float | None,
    quirks: bool,
) -> list[Verdict]:
    from rich.console import Console

    from kdzoo.report.progress import Reporter
    from kdzoo.tasks.sql import Item, Judge, Limits

    items = [Item(q.sql, answer, q.database) for q, answer in zip(questions, answers, strict=True)]
    console = Console(stderr=True)
    reporter = Reporter(console, quiet=not console.is_terminal)
    reporter.start(f"judging by {metric}", len(items))

    def tell(outlook: Outlook) -> None:
        if outlook.is_long:
            console.print(f"{outlook} --time-limit lowers it.", markup=False, highlight=False, soft_wrap=True)

    try:
        with Judge(Limits.of(metric, time_limit), official_quirks=quirks) as judge:
            return judge.judge(items, metric, reporter.advance, tell)
    finally:
        reporter.stop()


def _difficulty(question: Question, metric: str) -> str | None:
    from kdzoo.tasks.sql.hardness import hardness

    if metric == "bird-ex" or question.difficulty is not None:
        return question.difficulty
    return hardness(question.sql)


def _tell_gold_errors(questions: list[Question], verdicts: list[Verdict], found: Summary, data: Path) -> None:
    failed = [(q, v.gold_error) for q, v in zip(questions, verdicts, strict=True) if v.gold_error is not None]
    if not failed:
        return
    question, error = failed[0]
    first = f"the first is {question.id} on {question.database}: {error}"
    if len(failed) == len(verdicts):
        raise RunError(f"{data}: no gold query runs, so nothing can be judged; {first}")
    click.echo(
        f"warning: {data}: gold queries that do not run: {len(failed)}; their questions count as wrong, as for "
        f"the official programs; without them the score is {100 * found.gold_runs.score:.1f}%; {first}",
        err=True,
    )


def _write(out: Path, metric: str, verdicts: list[Verdict], found: Summary) -> None:
    from kdzoo.files import write_json

    content: dict[str, Any] = {
        "metric": metric,
        **found.as_json(),
        "verdicts": [verdict.right for verdict in verdicts],
        "reasons": [_reason(verdict) for verdict in verdicts],
    }
    try:
        write_json(out, content)
    except OSError as error:
        raise RunError(f"{out}: cannot be written: {error.strerror}") from None


def _reason(verdict: Verdict) -> str | None:
    return verdict.reason if verdict.gold_error is None else f"gold query: {verdict.gold_error}"


def _score_table(metric: str, found: Summary) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("questions")
    for heading in (metric.upper(), "95% interval", "right", "of"):
        table.add_column(heading, justify="right")
    rows: dict[str, Accuracy] = {**found.by_difficulty, "all": found.all}
    if found.gold_errors:
        rows["all whose gold query runs"] = found.gold_runs
    for name, accuracy in rows.items():
        low, high = accuracy.interval
        table.add_row(
            name,
            f"{100 * accuracy.score:.1f}%",
            f"{100 * low:.1f} to {100 * high:.1f}%",
            str(accuracy.right),
            str(accuracy.count),
        )
    return table


def _error_table(found: Summary) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("predictions without a result")
    table.add_column("count", justify="right")
    if found.timeouts:
        table.add_row("timeout", str(found.timeouts))
    for kind, count in found.errors.items():
        table.add_row(escape(kind), str(count))
    return table
