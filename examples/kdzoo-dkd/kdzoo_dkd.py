"""DKD: decoupled knowledge distillation (Zhao et al. 2022, arXiv 2203.08679, equations 5 to 7).

The forward KL divergence is the sum of two terms: how the probability of the target differs, and how that of all others
is shared out among them, weighted by the teacher's probability of these. The weight vanishes where the teacher is sure,
so that it teaches least where it knows most. DKD gives both terms weights of their own.

The paper classifies images; here each token of the ground truth is the target of a classification over the vocabulary,
at temperature 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from kdzoo import Method, StepCost, WeightedOptions, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import ScoredTokens, Step

# What stands for log 0: its exponential is 0, and differences and products with it stay finite.
_LOG_OF_ZERO = -1e4


class DKDOptions(WeightedOptions):
    """The weights of the two terms, and of their sum and MLE.

    ``alpha = 1`` is the paper's throughout; ``beta`` is 8 in most of its experiments, lower where the teacher is less sure.
    """

    alpha: float = Field(1.0, ge=0, allow_inf_nan=False, description="weight of the target's term (TCKD)")
    beta: float = Field(8.0, ge=0, allow_inf_nan=False, description="weight of the other tokens' term (NCKD)")


@hookimpl
def register_method() -> Method:
    return Method(
        name="dkd",
        summary="The forward KL of the target and that among all other tokens, each with its own weight, plus MLE.",
        paper="Zhao et al. 2022, Decoupled Knowledge Distillation (arXiv 2203.08679)",
        training_data="ground truth",
        divergence="α TCKD + β NCKD",
        aux_loss="MLE on y",
        cost=StepCost(student=1, teacher=1),
        options=DKDOptions,
    )


@hookimpl
def divergence(
    student_logits: Tensor, teacher_logits: Tensor, tokens: ScoredTokens, options: DKDOptions
) -> Tensor:
    """alpha KL(b‖c) + beta KL(p'‖q'): b and c say "the target or not", p' and q' are those of the other tokens."""
    log_b, log_others_p = _decoupled(teacher_logits.detach(), tokens.ids)
    log_c, log_others_q = _decoupled(student_logits, tokens.ids)
    of_target = (log_b.exp() * (log_b - log_c)).sum(-1)
    of_others = (log_others_p.exp() * (log_others_p - log_others_q)).sum(-1)
    return options.kd_weight * (options.alpha * of_target + options.beta * of_others)


@hookimpl
def aux_loss(step: Step, options: DKDOptions) -> Tensor:
    return options.mle_weight * step.student.cross_entropy(step.target)


def _decoupled(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of the probabilities of the target and of all others together, [N, 2], and of each among the others, [N, V].

    ``target`` is int64 [N]; the target itself is none of the others.
    """
    import torch

    logits, chosen = logits.float(), target[:, None]
    others = logits.scatter(1, chosen, float("-inf"))
    binary = torch.cat([logits.gather(1, chosen), others.logsumexp(-1, keepdim=True)], dim=1)
    return _log_softmax(binary), _log_softmax(others)


def _log_softmax(logits: Tensor) -> Tensor:
    return logits.log_softmax(-1).clamp_min(_LOG_OF_ZERO)
