"""Supervised fine-tuning: maximum likelihood on the ground truth, the baseline of every distillation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdzoo import Method, Options, StepCost, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import Step


@hookimpl
def register_method() -> Method:
    return Method(
        name="sft",
        summary="Cross entropy on the ground truth, without a teacher.",
        paper="Zhong et al. 2024, the baseline of Learning from Imperfect Data (arXiv 2410.11371)",
        training_data="ground truth",
        divergence="-",
        aux_loss="MLE on y",
        cost=StepCost(student=1, teacher=0),
        options=Options,
        uses_teacher=False,
    )


@hookimpl
def aux_loss(step: Step) -> Tensor:
    return step.student.cross_entropy(step.target)
