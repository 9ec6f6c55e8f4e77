"""How a stage's model is scored while it is trained: [training]'s settings of it, with everything filled in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.stages import TrainingStage
from kdzoo.recipe.tables import Evaluation, Training, interval_in_epochs
from kdzoo.spelling import hint
from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig

KEYS = ("evaluate_every", "evaluate_set", "evaluate_metric", "evaluate_examples", "keep_best")
"""The settings of [training] that are of no concern where ``evaluate_every`` is not given."""


@dataclass(frozen=True)
class Scoring:
    """``examples`` questions of a ``set`` are answered and judged by ``metric``, every so many steps or epochs.

    ``data`` is the table that the set's questions are read by, ``evaluation`` are the settings that an evaluate stage would answer and judge them by.
    """

    every: int | str
    set: str
    data: DataConfig
    metric: str
    examples: int
    keep_best: bool
    evaluation: Evaluation

    def in_words(self, questions: int | None = None) -> str:
        """When it is scored, by what, and on what, where the set has so many questions."""
        every = f"{self.every} steps" if isinstance(self.every, int) else self.every
        count = self.examples if questions is None else min(self.examples, questions)
        kept = "; the best is kept" if self.keep_best else ""
        return f"every {every} by {self.metric} on {count} questions of {self.set}{kept}"

    def interval(self, steps_per_epoch: int) -> Fraction:
        """The steps from one score to the next, where an epoch has so many; they need not be whole."""
        if isinstance(self.every, int):
            return Fraction(self.every)
        return interval_in_epochs(self.every) * steps_per_epoch


def scoring_of(recipe: Recipe, stage: TrainingStage) -> Scoring | None:
    """How a stage's model is scored while it is trained; None if it is not.

    Raises:
        ValueError: there is no metric to score by; `why_not_scored` tells of it before.
    """
    training = recipe.training_of(stage)
    if training.evaluate_every is None:
        return None
    name = training.evaluate_set or sets_of(recipe)[0]
    data, evaluation = _set_of(recipe, name)
    metric = training.evaluate_metric or _first_metric(evaluation)
    if metric is None:
        raise ValueError(f"stage {stage.name!r}: no metric to score by")
    most = evaluation.max_examples
    return Scoring(
        every=training.evaluate_every,
        set=name,
        data=data,
        metric=metric,
        examples=training.evaluate_examples if most is None else min(training.evaluate_examples, most),
        keep_best=training.keep_best,
        evaluation=evaluation.model_copy(update={"metrics": (metric,)}),
    )


def sets_of(recipe: Recipe) -> list[str]:
    """The names of a recipe's evaluation sets."""
    return [recipe.data.kind]


def why_not_scored(recipe: Recipe, training: Training) -> Iterator[tuple[str, str]]:
    """What is wrong with the settings of scoring, each with the key that it concerns."""
    if training.keep_best and training.evaluate_every is None:
        yield (
            "keep_best",
            'the best is chosen by scores, and there are none; add evaluate_every, "1 epoch" for one',
        )
    sets = sets_of(recipe)
    name = training.evaluate_set or sets[0]
    if name not in sets:
        yield "evaluate_set", f'no evaluation set is called "{name}"{hint(name, sets)}'
        return
    data, evaluation = _set_of(recipe, name)
    dataset, metric = registry.datasets.find(data.kind), training.evaluate_metric
    fitting = [m for m in registry.fitting(dataset) if not registry.metrics.find(m).compares_with_teacher]
    if metric is None:
        if training.evaluate_every is not None and _first_metric(evaluation) is None:
            yield (
                "evaluate_every",
                f"all metrics of the set compare with a teacher; add evaluate_metric: {', '.join(fitting)}",
            )
    elif registry.metrics.find(metric).compares_with_teacher:
        yield (
            "evaluate_metric",
            f'"{metric}" compares with the teacher, and is measured by an evaluate stage; here there are '
            f"{', '.join(fitting)}",
        )
    elif metric not in fitting:
        yield (
            "evaluate_metric",
            f'"{metric}" does not fit data of kind "{data.kind}", which has {", ".join(fitting)}',
        )


def _set_of(recipe: Recipe, name: str) -> tuple[DataConfig, Evaluation]:
    """The table that a set's questions are read by, and the settings of its evaluation."""
    return recipe.data, recipe.filled_in(recipe.evaluation)


def _first_metric(evaluation: Evaluation) -> str | None:
    return next((m for m in evaluation.metrics if not registry.metrics.find(m).compares_with_teacher), None)


def is_scored_after(step: int, last: int, interval: Fraction) -> bool:
    """Whether the model is scored after a step: the last, and each that an interval ends at or in."""
    return step == last or math.floor(step / interval) > math.floor((step - 1) / interval)
