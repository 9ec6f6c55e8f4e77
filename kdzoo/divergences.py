"""Divergences between teacher and student, per token, in nats.

Each function takes the student's and the teacher's logits, float [N, V], and gives float32 [N]. In all formulas p is
the teacher's distribution and q the student's, both the softmax of the logits over V at temperature 1. Gradients reach
the student's logits only. Everything is computed in float32 from log-softmax, and a probability of exactly zero (a
logit of minus infinity) contributes its limit, never NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def forward_kl(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """KL(p‖q) = sum p (log p - log q): Hinton et al. 2015; the paper's FKD. Infinite where q = 0 < p."""
    return _kl(_log_teacher(teacher_logits), _log_softmax(student_logits))


def reverse_kl(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """KL(q‖p) = sum q (log q - log p): Gu et al. 2023 (MiniLLM), token-wise; the paper's RKD. Infinite where p = 0 < q."""
    return _kl(_log_softmax(student_logits), _log_teacher(teacher_logits))


def jensen_shannon(student_logits: Tensor, teacher_logits: Tensor, beta: float = 0.5) -> Tensor:
    """Generalised Jensen-Shannon divergence: beta KL(p‖m) + (1 - beta) KL(q‖m), with m = beta p + (1 - beta) q.

    Agarwal et al. 2024 (GKD), equation 1; ``beta`` 0.5 is the paper's equation 4. The formula itself vanishes at
    ``beta`` 0 and 1; there, as in TRL, it stands for `forward_kl` and `reverse_kl`, its limits after division by beta
    and by 1 - beta. Lies between 0 and log 2.

    Raises:
        ValueError: ``beta`` is not between 0 and 1.
    """
    if not 0 <= beta <= 1:
        raise ValueError(f"beta must lie between 0 and 1, not {beta}")
    if beta == 0:
        return forward_kl(student_logits, teacher_logits)
    if beta == 1:
        return reverse_kl(student_logits, teacher_logits)
    log_p, log_q = _log_teacher(teacher_logits), _log_softmax(student_logits)
    log_m = _log_mixture(log_p, log_q, beta)
    divergence = beta * _kl(log_p, log_m) + (1 - beta) * _kl(log_q, log_m)
    return divergence.clamp_min(0)  # two small terms of opposite rounding may end just below zero


def teacher_to_mixture_kl(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """KL(p‖m) with m = p/2 + q/2: the half of the JSD that f-distill takes on the teacher's sequences (Wen et al. 2023)."""
    log_p = _log_teacher(teacher_logits)
    return _kl(log_p, _log_mixture(log_p, _log_softmax(student_logits), 0.5))


def student_to_mixture_kl(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """KL(q‖m) with m = p/2 + q/2: the half of the JSD that f-distill takes on the student's sequences (Wen et al. 2023)."""
    log_q = _log_softmax(student_logits)
    return _kl(log_q, _log_mixture(_log_teacher(teacher_logits), log_q, 0.5))


def total_variation(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Total variation distance 1/2 sum abs(p - q): f-distill; the paper's equation 5. Lies between 0 and 1."""
    return 0.5 * (_log_teacher(teacher_logits).exp() - _log_softmax(student_logits).exp()).abs().sum(-1)


def entropy(logits: Tensor) -> Tensor:
    """Entropy -sum q log q of the softmax of logits [N, V]: float32 [N]."""
    log_q = _log_softmax(logits)
    return -(log_q.exp() * log_q.masked_fill(log_q.isneginf(), 0)).sum(-1)


def _log_softmax(logits: Tensor) -> Tensor:
    return logits.float().log_softmax(-1)


def _log_teacher(logits: Tensor) -> Tensor:
    return logits.detach().float().log_softmax(-1)


def _kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    """KL(a‖b). Where a = 0 the difference is set to 0 before it is used, so that no gradient becomes NaN."""
    difference = (log_a - log_b).masked_fill(log_a.isneginf(), 0)
    return (log_a.exp() * difference).sum(-1)


def _log_mixture(log_p: Tensor, log_q: Tensor, beta: float) -> Tensor:
    """log(beta p + (1 - beta) q). Where both are 0 any finite value serves: it meets a weight of 0."""
    nowhere = log_p.isneginf() & log_q.isneginf()
    p, q = log_p.masked_fill(nowhere, 0), log_q.masked_fill(nowhere, 0)
    return (p + math.log(beta)).logaddexp(q + math.log1p(-beta))
