"""The metrics that run predicted SQL beside the gold SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from kdzoo.errors import RunError
from kdzoo.tasks import registry
from kdzoo.tasks.example import Example
from kdzoo.tasks.metric import Answers, Measured, Metric
from kdzoo.tasks.sql.judge import Item, Verdict
from kdzoo.tasks.sql.limits import ExecutionMetric
from kdzoo.tasks.sql.outlook import Outlook
from kdzoo.tasks.sql.scores import summary
from kdzoo.tasks.sql.suite import databases_in, suite_of
from kdzoo.tasks.sql.vote import vote


def by_execution(metric: ExecutionMetric, answers: Answers) -> Measured:
    """Judge by the results that statements give: "ex" on each database alone, "ts" on its whole test suite.

    Says which gold queries do not run, and what statements that take long may take together.

    Raises:
        RunError: no gold query runs, so that nothing can be said of the predictions.
    """
    items = [
        Item(example.target, prediction, database)
        for example, prediction in zip(answers.examples, answers.predictions, strict=True)
        if (database := _judged_on(metric, example)) is not None
    ]
    rule: ExecutionMetric = "bird-ex" if answers.splits.sql_rule == "bird" else metric

    def tell(outlook: Outlook) -> None:
        if outlook.is_long:
            answers.say(f"{metric}: {outlook} evaluation.time_limit lowers it.")

    executor = registry.sql_executors.find(answers.settings.sql_executor)
    with executor.open(rule, answers.settings.time_limit) as judge:
        verdicts = judge.judge(items, rule, tell=tell)
    found = summary(verdicts, [example.difficulty for example in answers.examples])
    _tell_of_failed(metric, answers.examples, verdicts, found.gold_runs.score, answers.say)
    lines = [{metric: verdict.right, "error": _error(verdict)} for verdict in verdicts]
    return Measured(found.score, lines, found.as_json())


def by_vote(answers: Answers) -> Measured:
    """Judge for each question the sampled statement whose result most of them have, as "ex" does.

    Raises:
        RunError: no gold query runs, so that nothing can be said of the predictions.
    """
    rule: ExecutionMetric = "bird-ex" if answers.splits.sql_rule == "bird" else "ex"
    databases = [example.database for example in answers.examples if example.database is not None]
    executor = registry.sql_executors.find(answers.settings.sql_executor)
    with executor.open(rule, answers.settings.time_limit) as judge:
        chosen = vote(answers.samples, databases, judge, rule)
    voted = replace(answers, predictions=[one.statement for one in chosen])
    found = by_execution("ex", voted)
    lines = [
        {"ex_vote": line["ex"], "voted": one.statement, "votes": one.votes, "samples": list(samples)}
        for line, one, samples in zip(found.lines, chosen, answers.samples, strict=True)
    ]
    sampled = {"samples": answers.settings.samples, "temperature": answers.settings.temperature}
    return Measured(found.score, lines, {**(found.details or {}), **sampled})


def _tell_of_failed(
    metric: str,
    examples: Sequence[Example],
    verdicts: Sequence[Verdict],
    left: float,
    say: Callable[[str], None],
) -> None:
    failed = [(e, v) for e, v in zip(examples, verdicts, strict=True) if v.gold_error is not None]
    if not failed:
        return
    example, verdict = failed[0]
    first = f"the first is {example.id} on {example.database}: {verdict.gold_error}"
    if len(failed) == len(verdicts):
        raise RunError(f"no gold query runs; {first}")
    say(
        f"{metric}: {len(failed)} gold queries do not run and count as wrong (the score without them is "
        f"{left:.3f}); {first}"
    )


def _error(verdict: Verdict) -> str | None:
    return verdict.reason if verdict.gold_error is None else f"gold query: {verdict.gold_error}"


def _judged_on(metric: ExecutionMetric, example: Example) -> Path | None:
    """The database that a query runs on, or whose folder is the test suite that it is judged on."""
    if metric != "ts" or example.test_suite is None or example.database is None:
        return example.database
    return example.test_suite / example.database.name


def _suites(examples: Sequence[Example]) -> dict[Path, list[Path]]:
    """The files of each database's suite."""
    judged_on = (_judged_on("ts", example) for example in examples)
    databases = {database for database in judged_on if database is not None}
    return {database: suite_of(database) for database in sorted(databases)}


def _lost_suites(examples: Sequence[Example]) -> Iterator[str]:
    named = {example.test_suite for example in examples if example.test_suite is not None}
    lost = sorted(folder for folder in named if not databases_in(folder))
    if lost:
        folder = lost[0].parent
        lacks = (
            "no suite" if len(lost) == len(named) else f"no suite for {len(lost)} of {len(named)} databases"
        )
        yield (
            f"test_suites: {folder} holds {lacks}: {lost[0].name}/*.sqlite, for example; kdzoo data fuzz DATABASES "
            f"--questions FILE --out {folder} makes them"
        )


def _is_ex(examples: Sequence[Example]) -> Iterator[str]:
    suites = _suites(examples)
    if not suites or any(len(files) > 1 for files in suites.values()):
        return
    if any(example.test_suite is not None for example in examples):
        what = "no suite in test_suites holds more than one database; kdzoo data fuzz may find others with more questions, "
        advice = '--mutants or --candidates; or leave "ts" out'
    else:
        has = "the only database has" if len(suites) == 1 else f"each of the {len(suites)} databases has"
        what = f"{has} one file only; make test suites by kdzoo data fuzz DATABASES --questions FILE --out FOLDER "
        advice = 'and name them by test_suites = "FOLDER", or leave "ts" out'
    yield f'"ts" would be a second "ex": {what}{advice}'


def _some_suites_of_one(examples: Sequence[Example]) -> Iterator[str]:
    suites = _suites(examples)
    alone = sum(len(files) == 1 for files in suites.values())
    if 0 < alone < len(suites):
        yield (
            f'{alone} of {len(suites)} databases have no other beside them, so that "ts" judges as "ex" does; '
            "kdzoo data fuzz makes a test suite"
        )


_SETTINGS = ("time_limit", "sql_executor")

EX = Metric(
    name="ex",
    summary="execution accuracy: the predicted SQL gives the gold SQL's result (Spider's or BIRD's rule)",
    measure=partial(by_execution, "ex"),
    settings=_SETTINGS,
)

EX_VOTE = Metric(
    name="ex_vote",
    summary="execution accuracy of the statement that wins a majority vote of samples by its result, as OmniSQL measures it",
    measure=by_vote,
    needs_samples=True,
    settings=(*_SETTINGS, "samples", "temperature"),
    heading="EX, vote",
    in_average=False,
)

TS = Metric(
    name="ts",
    summary="test-suite accuracy: it does so on every database of the suite (Zhong et al. 2020)",
    measure=partial(by_execution, "ts"),
    settings=_SETTINGS,
    notices=_some_suites_of_one,
    problems=_lost_suites,
    meaningless=_is_ex,
)
