"""Losses of sampled tokens by policy gradient, where the samples are of another distribution than the student's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def importance_weight(student_logits: Tensor, teacher_logits: Tensor, tokens: Tensor, share: float) -> Tensor:
    """q(y) / (share p(y) + (1 - share) q(y)), without gradients. Gu et al. 2023 (MiniLLM), equation 5.

    ``tokens`` y int64 [N] are drawn from the mixture. The weight is at most 1 / (1 - share).

    Raises:
        ValueError: ``share`` is not from 0 to below 1.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share must be from 0 to below 1, not {share}")
    log_q, log_p = (
        logits.detach().float().log_softmax(-1).gather(1, tokens[:, None]).squeeze(1)
        for logits in (student_logits, teacher_logits)
    )
    if share == 0:
        return log_q.new_ones(log_q.shape)
    return (log_q - log_p - math.log(share / (1 - share))).sigmoid() / (1 - share)


def clipped_policy_gradient(
    student_logits: Tensor, tokens: Tensor, advantage: Tensor, weight: Tensor, clip: float
) -> Tensor:
    """max(-A r, -A min(max(r, 1 - clip), 1 + clip)) with r = w q(y) / q_old(y). Schulman et al. 2017 (PPO).

    ``tokens`` y int64 [N] were sampled, their ``advantage`` A and importance ``weight`` w are float [N]. Each sample is used
    once, so that q_old is q as it is now: r is w, and the gradient is that of -A w log q(y), or none where A pulls r further
    out of its range. Gives float32 [N], with gradients to the student.
    """
    from kdzoo.methods.closed_form import cross_entropy

    log_q = -cross_entropy(student_logits, tokens)
    ratio = weight * (log_q - log_q.detach()).exp()
    return (-advantage * ratio).maximum(-advantage * ratio.clamp(1 - clip, 1 + clip))
