"""ToDi: token-wise distillation via fine-grained divergence control (Jung et al. 2025, arXiv 2505.16297), plus MLE.

Forward KL raises tokens that the student underestimates, reverse KL lowers those that it overestimates; each entry v of
the vocabulary gets its own mixture of both::

    sum over v of a p log(p / q) + (1 - a) q log(q / p),   a = sigmoid(beta log(p / q)), without gradients

The paper's code (jungseongryong/ToDi) has no ``beta``: 1. It trains on the ground truth and weighs MLE and divergence by
one half each, as the two weights of 1 do here but for the size of the loss. Its scripts divide the logits of both
models by a temperature of 2 first, which the formula does not have: here there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from kdzoo import WeightedOptions, divergences, ground_truth_kd

if TYPE_CHECKING:
    from torch import Tensor


class ToDiOptions(WeightedOptions):
    """How sharply the weights turn from one divergence to the other."""

    beta: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="factor of log(p/q) in the weights; 0 is the mean of both KL",
    )


def token_wise_kl(student_logits: Tensor, teacher_logits: Tensor, options: ToDiOptions) -> Tensor:
    """The loss of each scored token, [N, V] -> [N]."""
    return divergences.sigmoid_weighted_kl(student_logits, teacher_logits, options.beta)


register_method, divergence, aux_loss = ground_truth_kd(
    token_wise_kl,
    name="todi",
    summary="Forward and reverse KL, mixed for each vocabulary entry by its log ratio, on the ground truth, plus MLE.",
    paper="Jung et al. 2025, ToDi: Token-wise Distillation via Fine-Grained Divergence Control (arXiv 2505.16297)",
    divergence="KL(p‖q) and KL(q‖p), mixed entry by entry",
    options=ToDiOptions,
)
