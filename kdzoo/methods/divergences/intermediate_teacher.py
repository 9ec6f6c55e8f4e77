"""Divergences from a teacher that stands between the student as it is and the teacher, without gradients through it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kdzoo.methods.divergences.evaluation import evaluate

if TYPE_CHECKING:
    from torch import Tensor


def intermediate_teacher_kl(student_logits: Tensor, teacher_logits: Tensor, t: float) -> Tensor:
    """KL(p_t‖q), p_t = softmax((1 - t) z_q + t z_p) of both models' logits z. Shing et al. 2025 (TAID).

    p_t gets no gradients. ``t`` 1 is `forward_kl`; at 0, where p_t is q, nothing is left.

    Raises:
        ValueError: ``t`` is not from 0 to 1.
    """
    _check(t)
    return evaluate(partial(_intermediate, t=t, less_entropy=True), student_logits, teacher_logits)


def intermediate_teacher_cross_entropy(student_logits: Tensor, teacher_logits: Tensor, t: float) -> Tensor:
    """-sum p_t log q: `intermediate_teacher_kl` plus the entropy of p_t, with the same gradients. The code of TAID.

    Raises:
        ValueError: ``t`` is not from 0 to 1.
    """
    _check(t)
    return evaluate(partial(_intermediate, t=t, less_entropy=False), student_logits, teacher_logits)


def _check(t: float) -> None:
    if not 0 <= t <= 1:
        raise ValueError(f"t must lie between 0 and 1, not {t}")


def _intermediate(log_p: Tensor, log_q: Tensor, t: float, less_entropy: bool) -> tuple[Tensor, Tensor]:
    from kdzoo.methods.closed_form import LOG_OF_ZERO

    # logits and their log-softmax differ by a constant, which the softmax takes away
    log_t = log_p.mul_(t).add_(log_q, alpha=1 - t).log_softmax(-1).clamp_min_(LOG_OF_ZERO)
    p_t = log_t.exp()
    compared = log_t.sub_(log_q) if less_entropy else -log_q
    value = compared.mul_(p_t).sum(-1)
    return value, log_q.exp_().sub_(p_t)
