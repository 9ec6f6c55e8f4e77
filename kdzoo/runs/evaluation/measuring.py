"""Measures what models have answered by the metrics that a recipe asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from peft import PeftModel
from transformers import PreTrainedModel

from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.recipe import ScoredSet
from kdzoo.runs.context import ModelRef, RunContext
from kdzoo.tasks import registry
from kdzoo.tasks.example import Example
from kdzoo.tasks.metric import Answers, ComparedModels

Item = TypeVar("Item")


@dataclass
class Scored:
    """Scores by metric; what lies behind them; and what to write beside each prediction.

    A score that is undefined is None.
    """

    scores: dict[str, float | None] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)


class Measuring:
    """Measures models one after the other. The teacher is loaded when it is first compared with, and then kept."""

    def __init__(self, context: RunContext, teacher: ModelRef) -> None:
        self._context = context
        self._teacher_ref = teacher

    @cached_property
    def _teacher(self) -> PreTrainedModel | PeftModel:
        return self._context.model_to_use(self._teacher_ref)

    def measure(
        self,
        title: str,
        ref: ModelRef,
        model: PreTrainedModel | PeftModel,
        scored_set: ScoredSet,
        examples: Sequence[Example],
        prompts: Sequence[EncodedExample],
        predictions: Sequence[str],
        samples: Sequence[Sequence[str]] = (),
    ) -> Scored:
        """Measure one model by a set's metrics; those that compare with the teacher come last, and measure students only.

        Raises:
            UserError: a metric compares with the teacher, and the recipe has none.
            RunError: a metric can say nothing of the predictions.
        """
        scored = Scored(lines=[{} for _ in examples])
        metrics = [registry.metrics.find(name) for name in scored_set.evaluation.metrics]
        for metric in sorted(metrics, key=lambda metric: metric.compares_with_teacher):
            if metric.compares_with_teacher and ref.role != "student":
                continue
            answers = Answers(
                self._context.splits(scored_set.data),
                examples,
                predictions,
                scored_set.evaluation,
                say=self._context.reporter.say,
                track=lambda what, items, count: self._track(f"{title}, {what}", items, count),
                models=self._compared(model, prompts) if metric.compares_with_teacher else None,
                samples=samples,
            )
            measured = metric.measure(answers)
            scored.scores[metric.name] = measured.score
            if measured.details is not None:
                scored.details[metric.name] = dict(measured.details)
            if measured.lines:
                for line, more in zip(scored.lines, measured.lines, strict=True):
                    line.update(more)
        return scored

    def _compared(
        self, student: PreTrainedModel | PeftModel, prompts: Sequence[EncodedExample]
    ) -> ComparedModels:
        context = self._context
        return ComparedModels(
            student,
            self._teacher,
            context.tokenizer,
            prompts,
            context.end_ids(student, self._teacher),
            context.recipe.seed,
            context.chat,
        )

    def _track(self, title: str, items: Iterable[Item], count: int) -> Iterator[Item]:
        reporter = self._context.reporter
        reporter.start(title, count)
        for done, item in enumerate(items, start=1):
            yield item
            reporter.advance(done)
        reporter.stop()
