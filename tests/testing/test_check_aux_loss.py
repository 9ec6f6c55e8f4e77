"""An auxiliary loss that breaks a rule is told of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from broken_methods import breaks, divergence, module

from kdzoo import LossSum
from kdzoo.testing import check_method


class TestAuxLoss:
    def check(self, loss: Callable[[Any], Any], by: str, words: str) -> None:
        def aux_loss(step: Any) -> Any:
            return loss(step)

        breaks(divergence, aux_loss, by=by, words=words)

    def test_it_must_be_a_tensor_or_none(self) -> None:
        for given in (0.5, [0.5], LossSum(0.5, per="prompt")):
            self.check(lambda step, given=given: given, "aux_loss_gives_a_tensor_or_none", "or None, not 0.5")

    def test_a_sum_must_be_per_something_that_is_counted(self) -> None:
        self.check(
            lambda step: LossSum(step.student.cross_entropy(step.target), per="word"),
            "aux_loss_gives_a_tensor_or_none",
            "a LossSum is per target_token, scored_token or prompt, not per 'word'",
        )

    @pytest.mark.parametrize("per", ["target_token", "scored_token", "prompt"])
    def test_a_sum_over_what_it_says_keeps_the_rules(self, per: Any) -> None:
        def aux_loss(step: Any) -> LossSum:
            return LossSum(-step.student.log_probs(step.target).sum(), per=per)

        check_method(module(divergence, aux_loss))

    def test_a_mean_is_no_sum(self) -> None:
        def mean(step: Any) -> LossSum:
            return LossSum(step.student.cross_entropy(step.target), per="prompt")

        self.check(mean, "aux_loss_adds_up", "or by what a LossSum says, does not add up")

    def test_it_must_be_one_number(self) -> None:
        self.check(
            lambda step: step.student.logits(step.target)[:, 0, 0],
            "aux_loss_is_one_number",
            "must give one number, not [5]",
        )

    def test_it_must_be_finite(self) -> None:
        self.check(
            lambda step: step.student.cross_entropy(step.target) * float("nan"),
            "aux_loss_is_finite",
            "aux_loss gave nan",
        )

    @pytest.mark.parametrize("model", ["student", "teacher"])
    def test_it_must_train_the_student(self, model: str) -> None:
        def loss(step: Any) -> torch.Tensor:
            return getattr(step, model).cross_entropy(step.target).detach()

        self.check(loss, "aux_loss_trains_the_student", "aux_loss gives the student no gradient")

    def test_it_must_be_a_mean_over_the_target_s_tokens(self) -> None:
        def sum_of_tokens(step: Any) -> torch.Tensor:
            return step.student.cross_entropy(step.target) * step.target.lengths.sum()

        self.check(sum_of_tokens, "aux_loss_adds_up", "the aux_loss of a split batch")

    def test_each_of_several_must_add_up(self) -> None:
        def two(step: Any) -> list[Any]:
            right = step.student.cross_entropy(step.target)
            return [right, LossSum(right, per="prompt")]

        self.check(two, "aux_loss_adds_up", "the aux_loss of a split batch")

    def test_as_many_terms_for_a_part_as_for_the_whole(self) -> None:
        def one_or_two(step: Any) -> list[Any]:
            return [step.student.cross_entropy(step.target)] * (2 if len(step.examples) > 4 else 1)

        self.check(one_or_two, "aux_loss_adds_up", "aux_loss gives 2 terms, and others for a part")


def test_several_sums_over_different_things_keep_the_rules() -> None:
    def aux_loss(step: Any) -> tuple[Any, ...]:
        mean = step.student.cross_entropy(step.target)
        of_prompts = step.student.log_probs(step.target).sum(1).div(step.target.lengths)
        return mean, LossSum(-of_prompts.sum(), per="prompt")

    check_method(module(divergence, aux_loss))
