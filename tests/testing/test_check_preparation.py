"""What a method prepares must be a row for each prompt, drawn from the step, whatever the other prompts are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from broken_methods import breaks, divergence, module

from kdzoo.testing import check_method


def lengths(step: Any) -> torch.Tensor:
    return step.target.lengths.float()


def test_one_that_keeps_the_rules_passes() -> None:
    def prepare(step: Any) -> dict[str, torch.Tensor]:
        drawn = step.generator.per_row(3)
        return {"drawn": drawn, "likely": step.teacher.log_probs(step.target)}

    def aux_loss(step: Any) -> torch.Tensor:
        rows = step.prepared["drawn"].sum(1)[:, None].expand(step.target.tokens.shape)
        weights = rows + step.prepared["likely"][:, : step.target.tokens.shape[1]]
        weighted = -step.student.log_probs(step.target) * weights
        return weighted.sum() / step.target.lengths.sum()

    check_method(module(divergence, prepare, aux_loss))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([torch.ones(5)], "must give tensors by name, not list"),
        ({"a": torch.ones(3)}, "'a' must be a tensor with a row for each of the 5 prompts"),
        ({"a": 1}, "'a' must be a tensor with a row for each of the 5 prompts"),
    ],
)
def test_it_must_have_a_row_for_each_prompt(given: Any, words: str) -> None:
    def prepare() -> Any:
        return given

    breaks(divergence, prepare, by="prepare_gives_a_row_for_each_prompt", words=words)


def test_it_must_draw_from_the_step() -> None:
    def prepare(step: Any) -> dict[str, torch.Tensor]:
        return {"a": torch.rand(len(step.examples))}

    breaks(divergence, prepare, by="prepare_draws_from_the_step", words="use step.generator")


def test_a_row_must_not_depend_on_the_others() -> None:
    def prepare(step: Any) -> dict[str, torch.Tensor]:
        return {"share": lengths(step) / lengths(step).sum()}

    breaks(
        divergence,
        prepare,
        by="prepared_rows_do_not_depend_on_other_rows",
        words="prepare gives another 'share'",
    )
