"""The metric exaccerr: the ExAccErr of a student against its teacher. Imports no torch until it measures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kdzoo.tasks.metric import Answers, Measured, Metric, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kdzoo.engine.measure.exaccerr import ExAccErr


def measure(answers: Answers) -> Measured:
    """Give a student's ExAccErr in percent (None where it is undefined), what it is made of, and it over the length."""
    from kdzoo.engine.measure.exaccerr import curve
    from kdzoo.engine.measure.step_errors import measure_errors
    from kdzoo.engine.prompts.encoding import encode_target
    from kdzoo.engine.prompts.sampling import SamplingLimits

    settings, models = answers.settings, answers.models
    assert models is not None  # the metric compares with the teacher
    limits = SamplingLimits(settings.output_limit, models.end_ids)
    prompts = models.prompts
    if settings.exaccerr_prefix == "gold":
        prompts = [
            replace(prompt, target=encode_target(models.tokenizer, example.target, models.chat))
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
    by_length = curve(
        list(answers.track("ExAccErr", errors, len(prompts))),
        limits.output,
        average=settings.exaccerr_average,
        first_token=settings.exaccerr_first_token,
    )
    longest = len(by_length)
    result = by_length[min(settings.exaccerr_length or longest, longest) - 1]
    return Measured(result.percent, details=_details(result, by_length, settings))


def _details(result: ExAccErr, by_length: Sequence[ExAccErr], settings: Settings) -> dict[str, Any]:
    """R and excess in nats, eps in nats per step, ExAccErr at every l with its standard errors in percent."""
    details: dict[str, Any] = {
        "R": result.accumulated,
        "eps": result.per_step,
        "excess": result.excess,
        "standard_error": result.standard_error,
        "l": result.length,
        "prompts": result.prompts,
        "samples": settings.exaccerr_samples,
        "prefix": settings.exaccerr_prefix,
        "average": settings.exaccerr_average,
        "first_token": settings.exaccerr_first_token,
        "curve": [at.percent for at in by_length],
        "standard_errors": [at.standard_error for at in by_length],
    }
    if result.accumulated is None:
        longest = sum(at.accumulated is not None for at in by_length)
        advice = f"; the longest that is defined is exaccerr_length = {longest}" if longest else ""
        details["undefined"] = (
            f"no sequence of one of the two has as many steps as l = {result.length} to average over{advice}"
        )
    elif result.percent is None:
        details["undefined"] = "l * eps is 0: student and teacher agree after every oracle prefix"
    return details


EXACCERR = Metric(
    name="exaccerr",
    summary="excess accumulated error (Arora et al. 2022): the error that comes from the student's own prefixes",
    measure=measure,
    compares_with_teacher=True,
    settings=(
        "exaccerr_samples",
        "exaccerr_prefix",
        "exaccerr_average",
        "exaccerr_first_token",
        "exaccerr_length",
    ),
    heading="ExAccErr",
    text_of=lambda percent: f"{percent:.1f}%",
    in_average=False,
)
