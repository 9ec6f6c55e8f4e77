"""RKD: reverse-KL distillation on the ground truth, per token (Gu et al. 2023, MiniLLM, arXiv 2306.08543).

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
        name="rkd",
        summary="The reverse KL divergence from the teacher on the ground truth, plus MLE.",
        paper="Gu et al. 2023, MiniLLM (arXiv 2306.08543), token-wise",
        training_data="ground truth",
        divergence="KL(q‖p)",
        aux_loss="MLE on y",
        cost=StepCost(student=1, teacher=1),
        options=WeightedOptions,
    )


@hookimpl
def divergence(student_logits: Tensor, teacher_logits: Tensor, options: WeightedOptions) -> Tensor:
    return options.kd_weight * divergences.reverse_kl(student_logits, teacher_logits)


@hookimpl
def aux_loss(step: Step, options: WeightedOptions) -> Tensor:
    return options.mle_weight * step.student.cross_entropy(step.target)
