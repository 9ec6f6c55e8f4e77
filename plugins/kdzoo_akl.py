"""AKL: adaptive Kullback-Leibler divergence (Wu et al. 2024, arXiv 2404.02657), plus MLE.

Forward KL first fits the head of the teacher's distribution, reverse KL its tail; each is weighted by the gap that is
left in its part::

    AKL = g_head / (g_head + g_tail) KL(p‖q) + g_tail / (g_head + g_tail) KL(q‖p),   g = sum abs(p - q) over the part

The weights get no gradients (as in the paper's code). The head is the smallest set of the teacher's most probable tokens
that holds ``mu`` of its probability, ``head = "reaching"``. The paper's code (wutaiqiang/LLM_KD_AKL) leaves out the token
with which ``mu`` is passed, unless it is the first: ``"within"``. The paper distils on the ground truth in MiniLLM's code,
whose baselines weigh MLE and divergence by one half each: as the two weights of 1 do here, but for the size of the loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kdzoo import WeightedOptions, divergences, ground_truth_kd

if TYPE_CHECKING:
    from torch import Tensor


class AKLOptions(WeightedOptions):
    """Where the head of the teacher's distribution ends."""

    mu: float = Field(
        0.5, gt=0, le=1, description="probability that the head of the teacher's distribution holds"
    )
    head: Literal["reaching", "within"] = Field(
        "reaching",
        description="the head ends with the token that reaches mu (the paper), or before the one that exceeds it (its code)",
    )


def adaptive_kl(student_logits: Tensor, teacher_logits: Tensor, options: AKLOptions) -> Tensor:
    """AKL of each token, [N, V] -> [N]."""
    return divergences.head_tail_kl(student_logits, teacher_logits, options.mu, options.head)


register_method, divergence, aux_loss = ground_truth_kd(
    adaptive_kl,
    name="akl",
    summary="Forward and reverse KL, weighted by the gaps of head and tail, on the ground truth, plus MLE.",
    paper="Wu et al. 2024, Rethinking Kullback-Leibler Divergence in KD for LLMs (arXiv 2404.02657)",
    divergence="w KL(p‖q) + (1 - w) KL(q‖p), w by gaps",
    options=AKLOptions,
)
