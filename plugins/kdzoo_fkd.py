"""FKD: forward-KL distillation on the ground truth (Hinton et al. 2015, arXiv 1503.02531).

The MLE loss is the KID paper's addition (arXiv 2410.11371, section 3: "for a fair comparison, we also add the
auxiliary MLE loss into the baseline KD methods that rely on the ground-truth data").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdzoo import Method, StepCost, WeightedOptions, divergences, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import Step


@hookimpl
def register_method() -> Method:
    return Method(
        name="fkd",
        summary="The forward KL divergence from the teacher on the ground truth, plus MLE.",
        paper="Hinton et al. 2015, Distilling the Knowledge in a Neural Network (arXiv 1503.02531)",
        training_data="ground truth",
        divergence="KL(p‖q)",
        aux_loss="MLE on y",
        cost=StepCost(student=1, teacher=1),
        options=WeightedOptions,
    )


@hookimpl
def divergence(student_logits: Tensor, teacher_logits: Tensor, options: WeightedOptions) -> Tensor:
    return options.kd_weight * divergences.forward_kl(student_logits, teacher_logits)


@hookimpl
def aux_loss(step: Step, options: WeightedOptions) -> Tensor:
    return options.mle_weight * step.student.cross_entropy(step.target)
