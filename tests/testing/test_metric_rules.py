"""Every rule of a metric catches the metric with the fault that it is named after, and no other."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kdzoo import Answers, Example, Measured, Metric, Splits, UserError
from kdzoo.tasks.metric import ComparedModels
from kdzoo.testing import CheckError, Outcome, check_metric, metric_report
from kdzoo.testing.metric_rules import CHECKS


def measure(answers: Answers) -> Measured:
    right = [p == e.target for p, e in zip(answers.predictions, answers.examples, strict=True)]
    return Measured(sum(right) / len(right), [{"same": one} for one in right], {"answers": len(right)})


RIGHT = Metric(name="same", summary="the answer is the target", measure=measure)


def measuring(change: Callable[[Measured], Any]) -> Metric:
    """The metric with what it measures changed."""
    return replace(RIGHT, measure=lambda answers: change(measure(answers)))


class Counting:
    calls = 0

    def __call__(self, answers: Answers) -> Measured:
        self.calls += 1
        return replace(measure(answers), score=1 / self.calls)


def drawing(answers: Answers) -> Measured:
    random.random()
    return measure(answers)


def sorted_lines(answers: Answers) -> Measured:
    measured = measure(answers)
    return replace(measured, lines=sorted(measured.lines, key=lambda line: line["same"]))


# For each rule a metric with the one fault that the rule is named after.
BROKEN: dict[str, Callable[[], Metric]] = {
    "description_is_complete": lambda: replace(RIGHT, summary=""),
    "settings_are_keys_of_evaluation": lambda: replace(RIGHT, settings=("time_limi",)),
    "what_it_tells_is_text": lambda: replace(RIGHT, notices=lambda examples: [len(examples)]),
    "examples_can_be_measured": lambda: replace(RIGHT, problems=lambda examples: ["they have no database"]),
    "any_answer_is_measured": lambda: measuring(lambda measured: measured.score),
    "score_is_a_number": lambda: measuring(lambda measured: replace(measured, score=float("nan"))),
    "score_is_a_fraction": lambda: measuring(lambda measured: replace(measured, score=60)),
    "score_can_be_written": lambda: replace(RIGHT, text_of=lambda score: score),
    "every_answer_has_a_line_or_none_has": lambda: measuring(lambda m: replace(m, lines=m.lines[1:])),
    "verdicts_are_in_range": lambda: measuring(lambda m: replace(m, lines=[{"same": 2}] * len(m.lines))),
    "lines_and_details_are_json": lambda: measuring(lambda m: replace(m, details={"answers": {1, 2}})),
    "measuring_draws_from_no_global_generator": lambda: replace(RIGHT, measure=drawing),
    "measuring_again_gives_the_same": lambda: replace(RIGHT, measure=Counting()),
    "verdicts_belong_to_their_answers": lambda: replace(RIGHT, measure=sorted_lines),
}


def failures(metric: Metric, splits: Splits | None = None) -> dict[str, str]:
    with pytest.raises(CheckError) as caught:
        check_metric(metric, splits)
    return {r.name: r.reason for r in caught.value.results if r.outcome is Outcome.FAILED}


class TestEveryRule:
    @pytest.mark.parametrize("name", BROKEN)
    def test_catches_the_metric_with_its_fault_and_is_the_only_one(self, name: str) -> None:
        found = failures(BROKEN[name]())
        assert list(found) == [name]
        assert found[name].startswith(("same", "Metric."))

    def test_has_such_a_metric_here(self) -> None:
        assert [check.name for check in CHECKS] == list(BROKEN)

    def test_is_passed_by_what_the_broken_ones_are_made_from(self) -> None:
        check_metric(RIGHT)
        assert {result.outcome for result in metric_report(RIGHT)} == {Outcome.PASSED}

    def test_stands_behind_those_that_it_needs(self) -> None:
        names = [check.name for check in CHECKS]
        for check in CHECKS:
            assert all(names.index(needed.__name__) < names.index(check.name) for needed in check.needs)


class TestReasons:
    @pytest.mark.parametrize(
        ("name", "words"),
        [
            (
                "settings_are_keys_of_evaluation",
                "[evaluation] has no 'time_limi'; did you mean \"time_limit\"?",
            ),
            ("examples_can_be_measured", "examples that it is checked on: they have no database"),
            ("any_answer_is_measured", "measure gave float, not kdzoo.Measured"),
            ("score_is_a_fraction", "the score 60 is no fraction"),
            ("every_answer_has_a_line_or_none_has", "6 lines for 7 answers"),
            ("verdicts_are_in_range", "the verdict 2 is no fraction"),
            ("lines_and_details_are_json", "details cannot be written as JSON"),
            ("measuring_again_gives_the_same", "the same answers score 1.0 and then 0."),
        ],
    )
    def test_say_what_is_wrong(self, name: str, words: str) -> None:
        assert words in failures(BROKEN[name]())[name]

    def test_an_answer_that_breaks_it_is_told(self) -> None:
        def first_letters(answers: Answers) -> Measured:
            return Measured(
                sum(p[0] == e.target[0] for p, e in zip(answers.predictions, answers.examples, strict=True))
            )

        reason = failures(replace(RIGHT, measure=first_letters))["any_answer_is_measured"]
        assert reason.startswith("same: IndexError: string index out of range (")


class TestScoresThatAreNoFractions:
    def test_are_fine_where_the_metric_writes_them_itself(self) -> None:
        def distance(answers: Answers) -> Measured:
            lengths = [len(prediction) for prediction in answers.predictions]
            return Measured(sum(lengths) / len(lengths), [{"length": length} for length in lengths])

        metric = Metric(name="length", summary="characters", measure=distance, text_of=lambda s: f"{s:.1f}")
        check_metric(metric)
        outcomes = {result.name: result.outcome for result in metric_report(metric)}
        assert outcomes["score_is_a_fraction"] is Outcome.DOES_NOT_APPLY

    def test_may_be_undefined(self) -> None:
        check_metric(measuring(lambda measured: Measured(None)))


class TestWhatItIsGiven:
    def test_are_a_dataset_s_examples_where_there_are_some(self) -> None:
        given: list[Answers] = []

        def noting(answers: Answers) -> Measured:
            given.append(answers)
            return measure(answers)

        splits = Splits([], [Example(f"{n}", "say it", f"it {n}") for n in range(40)])
        check_metric(replace(RIGHT, measure=noting), splits)
        assert {len(answers.examples) for answers in given} == {24}
        assert given[0].predictions[:5] == ("it 0", "it 0", "it 2 and more", "", given[0].predictions[4])

    def test_no_example_at_all_is_the_caller_s_mistake(self) -> None:
        with pytest.raises(UserError, match="there is no example to evaluate on"):
            check_metric(RIGHT, Splits([], []))


class TestAMetricThatComparesModels:
    def test_is_not_asked_to_measure_without_any(self) -> None:
        metric = replace(RIGHT, compares_with_teacher=True, measure=lambda answers: 1 / 0)
        check_metric(metric)
        outcomes = {result.name: result.outcome for result in metric_report(metric)}
        assert outcomes["any_answer_is_measured"] is Outcome.DOES_NOT_APPLY

    def test_is_asked_with_those_that_are_given(self) -> None:
        def compared(answers: Answers) -> Measured:
            assert answers.models is not None
            return Measured(len(answers.models.prompts) / 10)

        models: Any = ComparedModels(None, None, None, ["a", "b", "c"], (2,), 0)  # type: ignore[arg-type]
        metric = replace(RIGHT, compares_with_teacher=True, measure=compared)
        check_metric(metric, models=models)
        broken = replace(metric, measure=lambda answers: Measured(len(answers.models.prompts)))
        with pytest.raises(CheckError, match="the score 3 is no fraction"):
            check_metric(broken, models=models)


@pytest.mark.parametrize("name", ["exact_match", "rouge_l", "exaccerr"])
def test_kdzoo_s_own_on_texts_keep_the_rules(name: str) -> None:
    check_metric(name)
