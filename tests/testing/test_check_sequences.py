"""Training sequences that break a rule are told of."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from broken_methods import breaks, described, divergence, module

from kdzoo import Options, Sequences, Source, StepCost
from kdzoo.testing import check_method

FIT = "sequences_fit_their_prompts"


class TestTrainingSequence:
    def check(self, make: Callable[[Any], Any], by: str, words: str) -> None:
        def make_training_sequence(step: Any) -> Any:
            return make(step)

        breaks(
            make_training_sequence, divergence, by=by, words=words, method=described(sources=tuple(Source))
        )

    def test_it_must_be_sequences(self) -> None:
        self.check(lambda step: step.target.tokens, "sequences_are_made", "gave Tensor, not kdzoo.Sequences")

    def test_it_must_leave_the_target_alone(self) -> None:
        def make(step: Any) -> Sequences:
            copy = step.target.rewritten(step.target.tokens.clone(), Source.GROUND_TRUTH)
            step.target.tokens[0, 0] += 1
            return copy

        self.check(make, "sequences_leave_the_target_alone", "changed step.target")

    @pytest.mark.parametrize(
        ("change", "by", "words"),
        [
            (lambda y: replace(y, per_prompt=2), FIT, "5 sequences for 5 prompts, 2 each"),
            (lambda y: replace(y, tokens=y.tokens.int()), FIT, "tokens must be int64"),
            (lambda y: replace(y, sources=y.sources.float()), FIT, "sources must be int64"),
            (lambda y: replace(y, sources=y.sources[:1]), FIT, "sources must have shape [5]"),
            (lambda y: replace(y, lengths=y.lengths + 1), FIT, "lengths must lie between 0 and"),
            (lambda y: replace(y, lengths=y.lengths - 2), FIT, "lengths must lie between 0 and"),
            (
                lambda y: replace(y, tokens=y.tokens + 9),
                "sequences_are_of_the_vocabulary",
                "a token id outside the vocabulary",
            ),
            (
                lambda y: replace(y, sources=y.sources + 7),
                "sequences_name_their_source",
                "sources must be values of kdzoo.Source",
            ),
        ],
    )
    def test_its_parts_must_fit(self, change: Callable[[Sequences], Sequences], by: str, words: str) -> None:
        self.check(lambda step: change(step.target), by, words)

    def test_its_lengths_must_be_the_target_s_where_the_options_say_so(self) -> None:
        class Promising(Options):
            @property
            def keeps_target_lengths(self) -> bool:
                return True

        def make_training_sequence(step: Any) -> Sequences:
            return step.student.generate(temperature=0)

        breaks(
            make_training_sequence,
            divergence,
            method=described(options=Promising, cost=StepCost(generation=1)),
            by="sequences_keep_the_lengths_that_options_promise",
            words="other lengths than the target's, but the options say keeps_target_lengths",
        )
        check_method(
            module(make_training_sequence, divergence, method=described(cost=StepCost(generation=1)))
        )

    @pytest.mark.parametrize(
        ("declared", "words"),
        [
            ({}, "gives sequences of Source.STUDENT, but the description says Source.GROUND_TRUTH: "),
            (
                {"cost": StepCost(generation=0.5), "sources": (Source.TEACHER,)},
                "gives sequences of Source.GROUND_TRUTH and Source.STUDENT, but the description says Source.TEACHER: ",
            ),
        ],
    )
    def test_its_sources_must_be_those_of_the_description(self, declared: dict[str, Any], words: str) -> None:
        def make_training_sequence(step: Any) -> Sequences:
            rows = step.generator.per_row(1)[:, 0] < 0.5
            return step.student.generate(rows=rows).where(rows, step.target)

        breaks(
            make_training_sequence,
            divergence,
            method=described(**declared),
            by="sequences_come_from_the_declared_sources",
            words=words,
        )
        right = described(cost=StepCost(generation=0.5))
        check_method(module(make_training_sequence, divergence, method=right))

    def test_what_other_options_give_need_not_be_described(self) -> None:
        class Switch(Options):
            on_policy: bool = False

        def make_training_sequence(step: Any, options: Switch) -> Sequences:
            return step.student.generate() if options.on_policy else step.target

        check_method(
            module(make_training_sequence, divergence, method=described(options=Switch)), {"on_policy": True}
        )

    @pytest.mark.parametrize(
        "draw",
        [
            lambda: torch.rand(()).item(),
            random.random,
            lambda: np.random.rand(),
        ],
        ids=["torch", "random", "numpy"],
    )
    def test_its_random_choices_must_come_from_the_step(self, draw: Callable[[], float]) -> None:
        def make(step: Any) -> Sequences:
            assert draw() < 1
            return step.target

        self.check(
            make, "random_choices_come_from_the_step", "draws from a global generator; use step.generator"
        )

    def test_it_must_give_the_same_for_the_same_step(self) -> None:
        calls: list[int] = []

        def make(step: Any) -> Sequences:
            calls.append(1)
            return step.target.rewritten((step.target.tokens + len(calls)) % 5, Source.IMPERFECT)

        self.check(make, "the_same_step_gives_the_same_sequences", "two results for the same step")

    def test_a_row_must_not_depend_on_the_rows_beside_it(self) -> None:
        def make(step: Any) -> Sequences:
            y = step.target
            return y.rewritten(y.tokens.flip(0), Source.IMPERFECT) if len(y.lengths) > 1 else y

        self.check(
            make,
            "sequences_do_not_depend_on_other_rows",
            "other sequences when a batch is split or reordered",
        )

    def test_a_teacher_s_generations_must_be_asked_for_in_the_options(self) -> None:
        self.check(
            lambda step: step.teacher_target,
            "sequences_are_made",
            "needs Options.needs_teacher_target to be True",
        )

    def test_it_is_not_there_before_it_is_made(self) -> None:
        self.check(lambda step: step.training_sequence, "sequences_are_made", "not there before it is made")
