"""The metrics that run predicted SQL beside the gold SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from kdzoo.errors import RunError
from kdzoo.tasks import registry
from kdzoo.tasks.example import Example
from kdzoo.tasks.metric import Answers, Measured, Metric
from kdzoo.tasks.sql.judge import Item, Verdict
from kdzoo.tasks.sql.limits import ExecutionMetric
from kdzoo.tasks.sql.outlook import Outlook
from kdzoo.tasks.sql.scores import summary
from kdzoo.tasks.sql.suite import suite_of


def by_execution(metric: ExecutionMetric, answers: Answers) -> Measured:
    """Judge by the results that statements give: "ex" on each database alone, "ts" on its whole test suite.

    Says which gold queries do not run, and what statements that take long may take together.

    Raises:
        RunError: no gold query runs, so that nothing can be said of the predictions.
    """
    items = [
        Item(example.target, prediction, example.database)
        for example, prediction in zip(answers.examples, answers.predictions, strict=True)
        if example.database is not None
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


def _suites_of_one(examples: Sequence[Example]) -> Iterator[str]:
    databases = {example.database for example in examples if example.database is not None}
    alone = sum(len(suite_of(database)) == 1 for database in databases)
    if alone:
        yield (
            f'{alone} of {len(databases)} databases have no other beside them, so that "ts" judges as "ex" does; '
            "kdzoo data fuzz makes a test suite"
        )


_SETTINGS = ("time_limit", "sql_executor")

EX = Metric(
    name="ex",
    summary="execution accuracy: the predicted SQL gives the gold SQL's result (Spider's or BIRD's rule)",
    measure=partial(by_execution, "ex"),
    settings=_SETTINGS,
)

TS = Metric(
    name="ts",
    summary="test-suite accuracy: it does so on every database of the suite (Zhong et al. 2020)",
    measure=partial(by_execution, "ts"),
    settings=_SETTINGS,
    notices=_suites_of_one,
)
