"""How a stage's model is scored while it is trained: [training]'s settings of it, with everything filled in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from kdzoo.recipe.intervals import interval_in_epochs
from kdzoo.recipe.places import place_in_set
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.sets import ScoredSet, dataset_of, part_of
from kdzoo.recipe.stages import Stage, TrainingStage
from kdzoo.recipe.tables import Evaluation
from kdzoo.spelling import hint
from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig

KEYS = ("evaluate_every", "evaluate_set", "evaluate_metric", "evaluate_examples", "keep_best")
"""The settings of [training] that are of no concern where ``evaluate_every`` is not given, or 0."""


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
    if not training.evaluate_every:
        return None
    name = training.evaluate_set or recipe.set_names[0]
    scored = recipe.scored_set(name)
    evaluation = scored.evaluation
    metric = training.evaluate_metric or _first_metric(evaluation)
    if metric is None:
        raise ValueError(f"stage {stage.name!r}: no metric to score by")
    most = evaluation.max_examples
    return Scoring(
        every=training.evaluate_every,
        set=name,
        data=scored.data,
        metric=metric,
        examples=training.evaluate_examples if most is None else min(training.evaluate_examples, most),
        keep_best=training.keep_best,
        evaluation=evaluation.model_copy(update={"metrics": (metric,)}),
    )


def scored_sets_of(recipe: Recipe, stage: Stage) -> tuple[ScoredSet, ...]:
    """The sets that a stage reads: those that an evaluate stage scores, or the one that a training is scored on."""
    if stage.role is None:
        return recipe.sets_of(stage)
    scoring = scoring_of(recipe, stage)
    return () if scoring is None else (recipe.scored_set(scoring.set),)


def why_not_scored(recipe: Recipe, stage: TrainingStage) -> Iterator[tuple[str, str]]:
    """What is wrong with a stage's settings of scoring, each with the key of [training] that it concerns."""
    training = recipe.training_of(stage)
    is_scored = bool(training.evaluate_every)
    if training.keep_best and not is_scored and not _switches_off(stage):
        yield (
            "keep_best",
            'the best is chosen by scores, and there are none; add evaluate_every, "1 epoch" for one',
        )
    sets = recipe.set_names
    name = training.evaluate_set or sets[0]
    if name not in sets:
        yield "evaluate_set", f'there is no evaluation set "{name}"{hint(name, sets)}'
    elif part_of(recipe.set_data(name), "evaluation") is not None:
        yield from _why_not_judged(recipe, name, training.evaluate_metric, is_scored)
    elif is_scored:
        where = ".".join(str(part) for part in place_in_set(recipe, name, "evaluation"))
        yield "evaluate_every", f"there are no questions to score it on: {where} names nothing"


def _switches_off(stage: TrainingStage) -> bool:
    """Whether a stage itself says that it is not scored, so that a keep_best for all stages is not meant for it."""
    return stage.training.get("evaluate_every") == 0 and not stage.training.get("keep_best")


def _why_not_judged(
    recipe: Recipe, name: str, metric: str | None, is_scored: bool
) -> Iterator[tuple[str, str]]:
    scored = recipe.scored_set(name)
    fitting = [m for m in registry.fitting(dataset_of(scored.data)) if _judges_one_answer(m)]
    if metric is None:
        if is_scored and _first_metric(scored.evaluation) is None:
            yield (
                "evaluate_every",
                f"all metrics of the set compare with a teacher; add evaluate_metric: {', '.join(fitting)}",
            )
    elif _compares(metric):
        yield (
            "evaluate_metric",
            f'"{metric}" compares with the teacher, and is measured by an evaluate stage; here there are '
            f"{', '.join(fitting)}",
        )
    elif registry.metrics.find(metric).needs_samples:
        yield (
            "evaluate_metric",
            f'"{metric}" judges several sampled answers, and is measured by an evaluate stage; here there are '
            f"{', '.join(fitting)}",
        )
    elif metric not in fitting:
        yield (
            "evaluate_metric",
            f'"{metric}" does not fit data of kind "{scored.data.kind}", which has {", ".join(fitting)}',
        )


def _first_metric(evaluation: Evaluation) -> str | None:
    return next((m for m in evaluation.metrics if _judges_one_answer(m)), None)


def _judges_one_answer(metric: str) -> bool:
    return registry.metrics.find(metric).judges_one_answer


def _compares(metric: str) -> bool:
    return registry.metrics.find(metric).compares_with_teacher


def is_scored_after(step: int, last: int, interval: Fraction) -> bool:
    """Whether the model is scored after a step: the last, and each that an interval ends at or in."""
    return step == last or math.floor(step / interval) > math.floor((step - 1) / interval)
