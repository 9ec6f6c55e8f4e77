"""The rules of a metric: what its description, its scores and its verdicts keep to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from kdzoo.spelling import hint
from kdzoo.tasks.metric import Measured, Settings
from kdzoo.testing.check import Check
from kdzoo.testing.global_generators import global_generators, global_generators_kept
from kdzoo.testing.metric_case import MetricCase

_SETTINGS = [name for name in vars(Settings) if not name.startswith("_")]


def description_is_complete(case: MetricCase) -> None:
    """The description's texts are there."""
    for field in ("name", "summary"):
        text = getattr(case.metric, field)
        assert isinstance(text, str), f"Metric.{field} must be a text, not {text!r}"
        assert text.strip(), f"Metric.{field} is empty"


def settings_are_keys_of_evaluation(case: MetricCase) -> None:
    """The settings that change its scores are keys of [evaluation]."""
    for key in case.metric.settings:
        assert key in _SETTINGS, f"{case.name}: settings: [evaluation] has no {key!r}{hint(key, _SETTINGS)}"


def what_it_tells_is_text(case: MetricCase) -> None:
    """Notices, problems and what makes its scores meaningless are texts."""
    for field in ("notices", "problems", "meaningless"):
        told = getattr(case.metric, field)(case.examples)
        assert not isinstance(told, str), f"{case.name}: {field} must give texts, not one text"
        for text in told:
            assert isinstance(text, str), f"{case.name}: {field} must give texts, not {text!r}"


def examples_can_be_measured(case: MetricCase) -> None:
    """By its own account it can measure these examples."""
    for text in case.metric.problems(case.examples):
        raise AssertionError(
            f"{case.name} says that it cannot measure the examples that it is checked on: {text}"
        )


def any_answer_is_measured(case: MetricCase) -> None:
    """It gives kdzoo.Measured of answers that are right, wrong, empty and odd."""
    assert isinstance(case.measured, Measured), (
        f"{case.name}: measure gave {type(case.measured).__name__}, not kdzoo.Measured"
    )


def score_is_a_number(case: MetricCase) -> None:
    """The score is None or a finite number."""
    score = case.measured.score
    assert score is None or _is_number(score), (
        f"{case.name}: the score must be None or a finite number, not {score!r}"
    )


def score_is_a_fraction(case: MetricCase) -> None:
    """The score lies between 0 and 1, as tables write it as a percentage."""
    score = case.measured.score
    assert score is None or 0 <= score <= 1, (
        f"{case.name}: the score {score!r} is no fraction; give one, or let text_of say how it is written"
    )


def score_can_be_written(case: MetricCase) -> None:
    """text_of writes the score as a text."""
    if case.measured.score is not None:
        text = case.metric.text_of(case.measured.score)
        assert isinstance(text, str), f"{case.name}: text_of must give a text, not {text!r}"
        assert text.strip(), f"{case.name}: text_of gives an empty text"


def every_answer_has_a_line_or_none_has(case: MetricCase) -> None:
    """There are as many lines as answers, or none at all, each with names for what it holds."""
    lines, count = case.measured.lines, len(case.examples)
    assert isinstance(lines, Sequence), f"{case.name}: lines must be a list, not {type(lines).__name__}"
    assert len(lines) in (0, count), f"{case.name}: {len(lines)} lines for {count} answers"
    for line in lines:
        assert isinstance(line, Mapping), f"{case.name}: a line must be a dict, not {line!r:.80}"


def verdicts_are_in_range(case: MetricCase) -> None:
    """What a line has under the metric's name is true, false or a finite number; a fraction where scores are fractions."""
    for verdict in _verdicts(case.measured, case.name):
        assert isinstance(verdict, bool) or _is_number(verdict), (
            f"{case.name}: a verdict must be true, false or a finite number, not {verdict!r}"
        )
        assert not case.writes_fractions or 0 <= verdict <= 1, (
            f"{case.name}: the verdict {verdict!r} is no fraction, as the score is"
        )


def lines_and_details_are_json(case: MetricCase) -> None:
    """Lines and details can be written as JSON."""
    for what, content in (
        ("details", case.measured.details),
        *(("a line", line) for line in case.measured.lines),
    ):
        try:
            json.dumps(content if content is None else dict(content), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise AssertionError(f"{case.name}: {what} cannot be written as JSON: {error}") from error


def measuring_draws_from_no_global_generator(case: MetricCase) -> None:
    """No global generator moves while it measures."""
    with global_generators_kept():
        before = global_generators()
        case.measure()
        assert global_generators() == before, (
            f"{case.name}: measure draws from a global generator, or seeds it; use one of its own, random.Random(seed)"
        )


def measuring_again_gives_the_same(case: MetricCase) -> None:
    """The same answers have the same score and lines."""
    again = case.measure()
    assert again.score == case.measured.score, (
        f"{case.name}: the same answers score {case.measured.score!r} and then {again.score!r}"
    )
    assert list(again.lines) == list(case.measured.lines), (
        f"{case.name}: the same answers have other lines the second time"
    )


def verdicts_belong_to_their_answers(case: MetricCase) -> None:
    """In another order the answers have the same verdicts, in that order, and the same score."""
    turned = case.measure(backwards=True)
    one, other = _verdicts(case.measured, case.name), _verdicts(turned, case.name)[::-1]
    assert one == other, (
        f"{case.name}: an answer's verdict depends on the order of the answers, or lines are in another order"
    )
    score, again = case.measured.score, turned.score
    same = score == again or (None not in (score, again) and math.isclose(score, again, abs_tol=1e-9))
    assert same, f"{case.name}: the score depends on the order of the answers: {score!r} and {again!r}"


def _verdicts(measured: Measured, name: str) -> list[Any]:
    return [line[name] for line in measured.lines if name in line]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _can_measure(case: MetricCase) -> bool:
    return case.models is not None or not case.metric.compares_with_teacher


def _measures_alone(case: MetricCase) -> bool:
    return not case.metric.compares_with_teacher


def _can_measure_fractions(case: MetricCase) -> bool:
    return _can_measure(case) and case.writes_fractions


_OTHERWISE = "does not apply where there are no models to compare"
_MEASURED = (any_answer_is_measured,)
_IN_LINES = (*_MEASURED, every_answer_has_a_line_or_none_has)

CHECKS: list[Check[MetricCase]] = [
    Check(description_is_complete),
    Check(settings_are_keys_of_evaluation),
    Check(what_it_tells_is_text),
    Check(examples_can_be_measured, needs=(what_it_tells_is_text,)),
    Check(any_answer_is_measured, (examples_can_be_measured,), _can_measure, _OTHERWISE),
    Check(score_is_a_number, _MEASURED, _can_measure, _OTHERWISE),
    Check(
        score_is_a_fraction,
        (score_is_a_number,),
        _can_measure_fractions,
        "does not apply to a metric that writes its scores in its own way, or without models to compare",
    ),
    Check(score_can_be_written, (score_is_a_number,), _can_measure, _OTHERWISE),
    Check(every_answer_has_a_line_or_none_has, _MEASURED, _can_measure, _OTHERWISE),
    Check(verdicts_are_in_range, _IN_LINES, _can_measure, _OTHERWISE),
    Check(lines_and_details_are_json, _IN_LINES, _can_measure, _OTHERWISE),
    Check(measuring_draws_from_no_global_generator, _MEASURED, _can_measure, _OTHERWISE),
    Check(
        measuring_again_gives_the_same,
        (*_IN_LINES, score_is_a_number, measuring_draws_from_no_global_generator),
        _can_measure,
        _OTHERWISE,
    ),
    Check(
        verdicts_belong_to_their_answers,
        (measuring_again_gives_the_same,),
        _measures_alone,
        "does not apply to a metric that compares models",
    ),
]
