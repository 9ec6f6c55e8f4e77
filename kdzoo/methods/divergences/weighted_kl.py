"""Both KL divergences together, weighted by where the student errs. Weights get no gradients."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from kdzoo.methods.divergences.evaluation import evaluate

if TYPE_CHECKING:
    from torch import Tensor

Head = Literal["reaching", "within"]

_TINY = 1e-30


def head_tail_kl(
    student_logits: Tensor, teacher_logits: Tensor, mu: float = 0.5, head: Head = "reaching"
) -> Tensor:
    """Adaptive KL: (g_head KL(p‖q) + g_tail KL(q‖p)) / (g_head + g_tail). Wu et al. 2024 (AKL).

    g is the sum of abs(p - q) over the head of the teacher's distribution, or over its tail, the rest. The head are
    its most probable entries: ``"reaching"``, as many as it takes to reach the probability ``mu`` (the paper's
    definition), or ``"within"``, as many as do not exceed it, and at least one (the paper's code). Which of equally
    probable entries come first is left open; here it is those of lower index.

    Raises:
        ValueError: ``mu`` is not above 0 and at most 1.
    """
    if not 0 < mu <= 1:
        raise ValueError(f"mu must lie above 0 and be at most 1, not {mu}")
    return evaluate(partial(_head_tail_kl, mu=mu, head=head), student_logits, teacher_logits)


def sigmoid_weighted_kl(student_logits: Tensor, teacher_logits: Tensor, beta: float = 1.0) -> Tensor:
    """sum a p (log p - log q) + (1 - a) q (log q - log p), a = sigmoid(beta (log p - log q)). Jung et al. 2025 (ToDi).

    The weight a is each vocabulary entry's own. ``beta`` 0 gives the mean of both KL divergences.

    Raises:
        ValueError: ``beta`` is negative, infinite or not a number.
    """
    if not 0 <= beta < float("inf"):
        raise ValueError(f"beta must be a number from 0, not {beta}")
    return evaluate(partial(_sigmoid_weighted_kl, beta=beta), student_logits, teacher_logits)


def _head_tail_kl(log_p: Tensor, log_q: Tensor, mu: float, head: Head) -> tuple[Tensor, Tensor]:
    p, q = log_p.exp(), log_q.exp()
    of_forward = _gap_in_head(p, q, mu, head)
    log_ratio = log_q.sub_(log_p)
    forward = -(p * log_ratio).sum(-1, keepdim=True)
    terms = log_ratio.mul_(q)
    reverse = terms.sum(-1, keepdim=True)
    value = of_forward * forward + (1 - of_forward) * reverse
    gradient = terms.sub_(q * reverse).mul_(1 - of_forward).add_(q.sub_(p).mul_(of_forward))
    return value.squeeze(-1), gradient


def _gap_in_head(p: Tensor, q: Tensor, mu: float, head: Head) -> Tensor:
    """The head's share of sum abs(p - q), [N, 1]; 0 where the distributions are the same."""
    descending, order = p.sort(dim=-1, descending=True, stable=True)
    reached = descending.cumsum(-1)
    if head == "within":
        in_head = reached <= mu
        in_head[..., 0] = True
    else:
        in_head = reached.sub_(descending) < mu
    gap = (p - q).abs_()
    of_head = gap.gather(-1, order).mul_(in_head).sum(-1, keepdim=True)
    return of_head / gap.sum(-1, keepdim=True).clamp_min_(_TINY)


def _sigmoid_weighted_kl(log_p: Tensor, log_q: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    p, q = log_p.exp(), log_q.exp()
    log_ratio = log_p.sub_(log_q)
    weight = (beta * log_ratio).sigmoid_()
    p = p.mul_(weight)
    rest = weight.neg_().add_(1).mul_(q)
    value = (log_ratio * (p - rest)).sum(-1)
    # the derivative by log q is -a p + (1 - a) q (1 - log p + log q)
    slope = log_ratio.neg_().add_(1).mul_(rest).sub_(p)
    return value, slope.sub_(q.mul_(slope.sum(-1, keepdim=True)))
