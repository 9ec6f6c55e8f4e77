"""The metric exaccerr: the ExAccErr of a student against its teacher. Imports no torch until it measures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kdzoo.tasks.metric import Answers, Measured, Metric, Settings

if TYPE_CHECKING:
    from kdzoo.engine.measure.exaccerr import ExAccErr


def measure(answers: Answers) -> Measured:
    """Give a student's ExAccErr in percent (None where it is undefined), and what it is made of."""
    from kdzoo.engine.measure.exaccerr import ExAccErr, measure_errors
    from kdzoo.engine.prompts.encoding import encode_target
    from kdzoo.engine.prompts.sampling import SamplingLimits

    settings, models = answers.settings, answers.models
    assert models is not None  # the metric compares with the teacher
    limits = SamplingLimits(settings.output_limit, models.end_ids)
    prompts = models.prompts
    if settings.exaccerr_prefix == "gold":
        prompts = [
            replace(prompt, target=encode_target(models.tokenizer, example.target))
            for prompt, example in zip(prompts, answers.examples, strict=True)
        ]
    errors = measure_errors(
        models.student,
        models.teacher,
        prompts,
        limits,
        prefix=settings.exaccerr_prefix,
        samples=settings.exaccerr_samples,
        batch_size=settings.batch_size,
        seed=models.seed,
    )
    result = ExAccErr.of(list(answers.track("ExAccErr", errors, len(prompts))), limits.output)
    return Measured(result.percent, details=_details(result, settings))


def _details(result: ExAccErr, settings: Settings) -> dict[str, Any]:
    """R and excess in nats, eps in nats per step, the standard error in percent."""
    details: dict[str, Any] = {
        "R": result.accumulated,
        "eps": result.per_step,
        "excess": result.excess,
        "standard_error": result.standard_error,
        "l": settings.output_limit,
        "prompts": result.prompts,
        "samples": settings.exaccerr_samples,
        "prefix": settings.exaccerr_prefix,
    }
    if result.percent is None:
        details["undefined"] = "l * eps is 0: student and teacher agree after every oracle prefix"
    return details


EXACCERR = Metric(
    name="exaccerr",
    summary="excess accumulated error (Arora et al. 2022): the error that comes from the student's own prefixes",
    measure=measure,
    compares_with_teacher=True,
    settings=("exaccerr_samples", "exaccerr_prefix"),
    heading="ExAccErr",
    text_of=lambda percent: f"{percent:.1f}%",
)
