"""The metrics that compare a predicted text with the target: the mean of one score for each example."""

from __future__ import annotations

from collections.abc import Callable

from kdzoo.tasks.metric import Answers, Measured, Metric
from kdzoo.tasks.text.scores import exact_match, rouge_l


def _mean(name: str, score: Callable[[str, str], float]) -> Callable[[Answers], Measured]:
    def measure(answers: Answers) -> Measured:
        values = [
            score(prediction, example.target)
            for prediction, example in zip(answers.predictions, answers.examples, strict=True)
        ]
        return Measured(sum(values) / max(1, len(values)), [{name: value} for value in values])

    return measure


EXACT_MATCH = Metric(
    name="exact_match",
    summary="the prediction equals the target up to white space",
    measure=_mean("exact_match", exact_match),
    heading="exact match",
)

ROUGE_L = Metric(
    name="rouge_l",
    summary="ROUGE-L F-measure (Lin 2004) of the prediction against the target",
    measure=_mean("rouge_l", rouge_l),
    heading="ROUGE-L",
)
