"""ABKD: distillation by the alpha-beta divergence (Wang et al. 2025, arXiv 2505.04560), plus MLE.

Two parameters move between forward KL, (1, 0), and reverse KL, (0, 1)::

    -1 / (alpha beta) sum p^alpha q^beta - alpha / (alpha + beta) p^(alpha + beta) - beta / (alpha + beta) q^(alpha + beta)

The defaults are those that its scripts for instruction following name. Where a parameter or the sum is 0, the
divergence is its limit (Cichocki et al. 2011); the paper's code (ghwang-s/abkd) divides there by the other parameter once
instead of twice, which differs unless that is 1. The paper's objective is cross entropy plus the divergence, on the ground
truth. Its scripts for language models leave out that cross entropy (``mle_weight = 0``) and add a language modelling loss
on a plain text corpus, which is none of this method's data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from kdzoo import WeightedOptions, divergences, ground_truth_kd

if TYPE_CHECKING:
    from torch import Tensor


class ABKDOptions(WeightedOptions):
    """The divergence's two parameters. Their sum must not be negative."""

    alpha: float = Field(
        0.2,
        ge=-5,
        le=5,
        description="exponent of p; a smaller one stresses where the models differ most",
    )
    beta: float = Field(
        0.7,
        ge=-5,
        le=5,
        description="exponent of q; a greater one stresses what the student is sure of",
    )

    @model_validator(mode="after")
    def _has_a_divergence(self) -> ABKDOptions:
        divergences.check_alpha_beta(self.alpha, self.beta)
        return self


def alpha_beta(student_logits: Tensor, teacher_logits: Tensor, options: ABKDOptions) -> Tensor:
    """The alpha-beta divergence of each token, [N, V] -> [N]."""
    return divergences.alpha_beta(student_logits, teacher_logits, options.alpha, options.beta)


register_method, divergence, aux_loss = ground_truth_kd(
    alpha_beta,
    name="abkd",
    summary="The alpha-beta divergence, between forward and reverse KL, on the ground truth, plus MLE.",
    paper="Wang et al. 2025, ABKD (arXiv 2505.04560)",
    divergence="AB(alpha, beta)",
    options=ABKDOptions,
)
