"""Verdicts and scores for predictions, by the metrics that a recipe asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kdzoo.errors import RunError
from kdzoo.recipe import Evaluation
from kdzoo.tasks.example import Example, Splits
from kdzoo.tasks.sql import Item, Judge, Limits, Metric, Outlook
from kdzoo.tasks.sql.scores import summary
from kdzoo.tasks.text.scores import exact_match, rouge_l


@dataclass
class Judged:
    """Scores by metric; what lies behind them; and what to write beside each prediction.

    Scores are fractions, but ExAccErr is in percent. One that is undefined is None.
    """

    scores: dict[str, float | None] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    verdicts: list[dict[str, Any]] = field(default_factory=list)


def judge(
    splits: Splits,
    examples: Sequence[Example],
    predictions: Sequence[str],
    evaluation: Evaluation,
    say: Callable[[str], None],
) -> Judged:
    """Judge every prediction by every metric that looks at predictions; `kdzoo.runs.evaluation.exaccerr` does not.

    ``say`` is called with a line about statements that will take long, or gold queries that do not run.

    Raises:
        RunError: gold queries do not run, so that nothing can be said of the predictions.
    """
    judged = Judged(verdicts=[{} for _ in examples])
    for metric in evaluation.metrics:
        if metric in ("ex", "ts"):
            _by_execution(judged, splits, examples, predictions, evaluation, metric, say)
        elif metric == "exact_match":
            _by_text(
                judged, metric, [exact_match(p, e.target) for p, e in zip(predictions, examples, strict=True)]
            )
        elif metric == "rouge_l":
            _by_text(
                judged, metric, [rouge_l(p, e.target) for p, e in zip(predictions, examples, strict=True)]
            )
    return judged


def _by_execution(
    judged: Judged,
    splits: Splits,
    examples: Sequence[Example],
    predictions: Sequence[str],
    evaluation: Evaluation,
    metric: str,
    say: Callable[[str], None],
) -> None:
    items = [
        Item(e.target, prediction, e.database)
        for e, prediction in zip(examples, predictions, strict=True)
        if e.database is not None
    ]
    rule: Metric = "bird-ex" if splits.metric == "bird" else "ts" if metric == "ts" else "ex"

    def tell(outlook: Outlook) -> None:
        if outlook.is_long:
            say(f"{metric}: {outlook} evaluation.time_limit lowers it.")

    with Judge(Limits.of(rule, evaluation.time_limit)) as sandbox:
        verdicts = sandbox.judge(items, rule, tell=tell)
    failed = [(e, v) for e, v in zip(examples, verdicts, strict=True) if v.gold_error is not None]
    if len(failed) == len(verdicts) and verdicts:
        example, verdict = failed[0]
        raise RunError(
            f"no gold query runs; the first is {example.id} on {example.database}: {verdict.gold_error}"
        )
    for line, verdict in zip(judged.verdicts, verdicts, strict=True):
        error = verdict.gold_error and f"gold query: {verdict.gold_error}"
        line[metric] = verdict.right
        line["error"] = error or verdict.reason
    found = summary(verdicts, [e.difficulty for e in examples])
    if failed:
        example, verdict = failed[0]
        say(
            f"{metric}: {len(failed)} gold queries do not run and count as wrong (the score without them is "
            f"{found.gold_runs.score:.3f}); the first is {example.id} on {example.database}: {verdict.gold_error}"
        )
    judged.scores[metric] = found.score
    judged.details[metric] = found.as_json()


def _by_text(judged: Judged, metric: str, values: list[float]) -> None:
    for line, value in zip(judged.verdicts, values, strict=True):
        line[metric] = value
    judged.scores[metric] = sum(values) / max(1, len(values))
