"""Divergences of the two distributions as they are: KL in both directions, Jensen-Shannon, total variation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kdzoo.methods.divergences.evaluation import evaluate

if TYPE_CHECKING:
    from torch import Tensor


def forward_kl(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """KL(p‖q) = sum p (log p - log q). Hinton et al. 2015; the FKD of the KID paper."""
    return evaluate(_forward_kl, student_logits, teacher_logits)


def reverse_kl(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """KL(q‖p) = sum q (log q - log p). Gu et al. 2023 (MiniLLM), here per token; the RKD of the KID paper."""
    return evaluate(_reverse_kl, student_logits, teacher_logits)


def jensen_shannon(student_logits: Tensor, teacher_logits: Tensor, beta: float = 0.5) -> Tensor:
    """Generalised Jensen-Shannon divergence: beta KL(p‖m) + (1 - beta) KL(q‖m), m = beta p + (1 - beta) q.

    Agarwal et al. 2024 (GKD); ``beta`` 0.5 is equation 4 of the KID paper. Lies between 0 and log 2. The
    formula itself vanishes at ``beta`` 0 and 1; there, as in TRL, it stands for `forward_kl` and
    `reverse_kl`: the limits of the divergence over beta and over 1 - beta.

    Raises:
        ValueError: ``beta`` is not between 0 and 1.
    """
    if not 0 <= beta <= 1:
        raise ValueError(f"beta must lie between 0 and 1, not {beta}")
    if beta == 0:
        return forward_kl(student_logits, teacher_logits)
    if beta == 1:
        return reverse_kl(student_logits, teacher_logits)
    return evaluate(partial(_jensen_shannon, beta=beta), student_logits, teacher_logits)


def skew_kl(student_logits: Tensor, teacher_logits: Tensor, alpha: float = 0.1) -> Tensor:
    """KL(p‖m) with m = alpha p + (1 - alpha) q, from 0 to -log alpha. Ko et al. 2024 (DistiLLM): SKL.

    Gradients pass through m. ``alpha`` 0 is `forward_kl`.

    Raises:
        ValueError: ``alpha`` is not from 0 to below 1.
    """
    _check_skew(alpha)
    if alpha == 0:
        return forward_kl(student_logits, teacher_logits)
    return evaluate(partial(_teacher_to_mixture_kl, beta=alpha), student_logits, teacher_logits)


def skew_reverse_kl(student_logits: Tensor, teacher_logits: Tensor, alpha: float = 0.1) -> Tensor:
    """KL(q‖m) with m = (1 - alpha) p + alpha q, from 0 to -log alpha. Ko et al. 2024 (DistiLLM): SRKL.

    Gradients pass through m. ``alpha`` 0 is `reverse_kl`.

    Raises:
        ValueError: ``alpha`` is not from 0 to below 1.
    """
    _check_skew(alpha)
    if alpha == 0:
        return reverse_kl(student_logits, teacher_logits)
    return evaluate(partial(_student_to_mixture_kl, beta=1 - alpha), student_logits, teacher_logits)


def teacher_to_mixture_kl(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """KL(p‖m) with m = p/2 + q/2, from 0 to log 2. Wen et al. 2023: JS on the teacher's sequences."""
    return skew_kl(student_logits, teacher_logits, 0.5)


def student_to_mixture_kl(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """KL(q‖m) with m = p/2 + q/2, from 0 to log 2. Wen et al. 2023: JS on the student's sequences."""
    return skew_reverse_kl(student_logits, teacher_logits, 0.5)


def total_variation(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Total variation distance 1/2 sum abs(p - q), 0 to 1. Wen et al. 2023; the KID paper, equation 5."""
    return evaluate(_total_variation, student_logits, teacher_logits)


def entropy(logits: Tensor) -> Tensor:
    """Entropy -sum q log q of the softmax of logits [N, V]: float32 [N], between 0 and log V."""
    log_q = logits.float().log_softmax(-1)
    q = log_q.exp()
    return -(q * log_q.masked_fill(q == 0, 0)).sum(-1)


def _forward_kl(log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
    p = log_p.exp()
    value = log_p.sub_(log_q).mul_(p).sum(-1)
    return value, log_q.exp_().sub_(p)


def _reverse_kl(log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
    q = log_q.exp()
    terms = log_q.sub_(log_p).mul_(q)
    value = terms.sum(-1)
    return value, terms.sub_(q.mul_(value[..., None]))


def _jensen_shannon(log_p: Tensor, log_q: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    p, q = log_p.exp(), log_q.exp()
    log_m = _log_mixture(p, q, beta)
    of_teacher = log_p.sub_(log_m).mul_(p).sum(-1)
    terms = log_q.sub_(log_m).mul_(q)
    of_student = terms.sum(-1)
    value = beta * of_teacher + (1 - beta) * of_student
    # two small terms of opposite rounding may end just below zero
    return value.clamp_min_(0), terms.sub_(q.mul_(of_student[..., None])).mul_(1 - beta)


def _check_skew(alpha: float) -> None:
    if not 0 <= alpha < 1:
        raise ValueError(f"alpha must be from 0 to below 1, not {alpha}")


def _teacher_to_mixture_kl(log_p: Tensor, log_q: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    p, q = log_p.exp(), log_q.exp_()
    log_m = _log_mixture(p, q, beta)
    value = log_p.sub_(log_m).mul_(p).sum(-1)
    # g = (1 - beta) (1 - p / m), and p / m is safe as a quotient of float32: m is at least beta p
    terms = p.div_(log_m.exp_()).sub_(1).mul_(beta - 1).mul_(q)
    return value.clamp_min_(0), terms.sub_(q.mul_(terms.sum(-1, keepdim=True)))


def _student_to_mixture_kl(log_p: Tensor, log_q: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    p, q = log_p.exp_(), log_q.exp()
    log_m = _log_mixture(p, q, beta)
    difference = log_q.sub_(log_m)
    value = (q * difference).sum(-1)
    # g = log(q / m) - (1 - beta) q / m
    terms = difference.sub_(log_m.exp_().reciprocal_().mul_(1 - beta).mul_(q)).mul_(q)
    return value.clamp_min_(0), terms.sub_(q.mul_(terms.sum(-1, keepdim=True)))


def _total_variation(log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
    q = log_q.exp_()
    difference = q - log_p.exp_()
    value = 0.5 * difference.abs().sum(-1)
    terms = difference.sign_().mul_(0.5).mul_(q)
    return value, terms.sub_(q.mul_(terms.sum(-1, keepdim=True)))


def _log_mixture(p: Tensor, q: Tensor, beta: float) -> Tensor:
    """log(beta p + (1 - beta) q), at least the logarithm of float32's smallest normal number."""
    return q.lerp(p, beta).clamp_min_(1.1754944e-38).log_()
