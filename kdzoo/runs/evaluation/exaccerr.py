"""The ExAccErr of evaluated students, all against one teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from peft import PeftModel
from transformers import PreTrainedModel

from kdzoo.engine.measure.exaccerr import ExAccErr, measure_errors
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.prompts.encoding import encode_target
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.recipe import Evaluation
from kdzoo.runs.context import ModelRef, RunContext
from kdzoo.tasks.example import Example


class TeacherComparison:
    """Compares students with a teacher, which is loaded when the first of them comes and then kept."""

    def __init__(self, context: RunContext, teacher: ModelRef, evaluation: Evaluation) -> None:
        self._context = context
        self._ref = teacher
        self._evaluation = evaluation

    @cached_property
    def _teacher(self) -> PreTrainedModel | PeftModel:
        return self._context.model_to_use(self._ref)

    def exaccerr(
        self,
        title: str,
        student: PreTrainedModel | PeftModel,
        prompts: Sequence[EncodedExample],
        examples: Sequence[Example],
    ) -> tuple[float | None, dict[str, Any]]:
        """Give a student's ExAccErr in percent (None where it is undefined), and what it is made of.

        ``prompts`` are those of the ``examples``, encoded.

        Raises:
            UserError: the recipe has no teacher.
        """
        evaluation, reporter, tokenizer = self._evaluation, self._context.reporter, self._context.tokenizer
        limits = SamplingLimits(evaluation.output_limit, self._context.end_ids(student, self._teacher))
        if evaluation.exaccerr_prefix == "gold":
            prompts = [
                replace(prompt, target=encode_target(tokenizer, example.target))
                for prompt, example in zip(prompts, examples, strict=True)
            ]
        measured = measure_errors(
            student,
            self._teacher,
            prompts,
            limits,
            prefix=evaluation.exaccerr_prefix,
            samples=evaluation.exaccerr_samples,
            batch_size=evaluation.batch_size,
            seed=self._context.recipe.seed,
        )
        reporter.start(title, len(prompts))
        errors = []
        for error in measured:
            errors.append(error)
            reporter.advance(len(errors))
        reporter.stop()
        result = ExAccErr.of(errors, limits.output)
        return result.percent, _details(result, evaluation)


def _details(result: ExAccErr, evaluation: Evaluation) -> dict[str, Any]:
    """R and excess in nats, eps in nats per step, the standard error in percent."""
    details: dict[str, Any] = {
        "R": result.accumulated,
        "eps": result.per_step,
        "excess": result.excess,
        "standard_error": result.standard_error,
        "l": evaluation.output_limit,
        "prompts": result.prompts,
        "samples": evaluation.exaccerr_samples,
        "prefix": evaluation.exaccerr_prefix,
    }
    if result.percent is None:
        details["undefined"] = "l * eps is 0: student and teacher agree after every oracle prefix"
    return details
