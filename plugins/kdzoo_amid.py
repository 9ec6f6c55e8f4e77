"""AMiD: distillation with an alpha-mixture assistant distribution (Shin et al. 2025, arXiv 2510.15982).

Instead of each other, teacher or student is compared with an assistant r that lies between them::

    r = (lambda p^k + (1 - lambda) q^k)^(1 / k), normalised,   k = (1 - alpha) / 2

``alpha`` is the way from q to p: along the arithmetic mean (-1: DistiLLM's skewed KL), the geometric mean (1, the limit
k = 0) or any other; ``lambda`` is how far. Gradients pass through r. The defaults are those of the scripts of the paper's
code (aailab-kaist/AMiD): the alpha-beta divergence at (0.2, 0.7) of p from r. The code takes every alpha above 1
for 1; here it is the formula's. The paper trains without MLE on the ground truth and adds a language modelling loss on a
plain text corpus, which is none of this method's data. It also mixes in what the student generates, kept in a buffer and
ever more of it as the validation loss asks; ``data`` has both ends, all of the one or all of the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field, model_validator

from kdzoo import TrainingDataOptions, divergences, ground_truth_kd, target_or_generated

if TYPE_CHECKING:
    from torch import Tensor


class AMiDOptions(TrainingDataOptions):
    """The assistant and the divergence. The field ``lambda_`` is ``lambda`` in recipes (a reserved word of Python)."""

    model_config = ConfigDict(populate_by_name=True)

    alpha: float = Field(
        0.5, ge=-10, le=10, description="the assistant's mean: -1 arithmetic, 1 geometric, 3 harmonic"
    )
    lambda_: float = Field(
        0.5, gt=0, lt=1, alias="lambda", description="share of the teacher in the assistant"
    )
    divergence: Literal["ab", "kl"] = Field("ab", description="alpha-beta divergence, or KL")
    order: Literal["pr", "qr", "rp", "rq"] = Field(
        "pr",
        description="what is compared: pr is the divergence D(p‖r) of the teacher p from the assistant r",
    )
    ab_alpha: float = Field(0.2, ge=-5, le=5, description="alpha of the alpha-beta divergence")
    ab_beta: float = Field(0.7, ge=-5, le=5, description="beta of the alpha-beta divergence")

    @model_validator(mode="after")
    def _has_a_divergence(self) -> AMiDOptions:
        divergences.check_alpha_beta(self.ab_alpha, self.ab_beta)
        return self


def to_assistant(student_logits: Tensor, teacher_logits: Tensor, options: AMiDOptions) -> Tensor:
    """The divergence to or from the assistant of each token, [N, V] -> [N]."""
    return divergences.assistant_alpha_beta(
        student_logits,
        teacher_logits,
        alpha=options.alpha,
        share=options.lambda_,
        order=options.order,
        ab=(1, 0) if options.divergence == "kl" else (options.ab_alpha, options.ab_beta),
    )


register_method, divergence, aux_loss = ground_truth_kd(
    to_assistant,
    name="amid",
    summary="A divergence of teacher or student and an assistant distribution between them.",
    paper="Shin et al. 2025, AMiD: KD for LLMs with alpha-mixture Assistant Distribution (arXiv 2510.15982)",
    training_data="ground truth (or student-generated)",
    divergence="AB(0.2, 0.7) of p and r(alpha, lambda) (or KL)",
    options=AMiDOptions,
)


make_training_sequence = target_or_generated()
