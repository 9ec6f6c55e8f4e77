"""Divergences that ask for one token of each position: a sampled one, or the target and the rest."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kdzoo.methods.divergences.evaluation import evaluate

if TYPE_CHECKING:
    from torch import Tensor


def sampled_reverse_kl(student_logits: Tensor, teacher_logits: Tensor, tokens: Tensor) -> Tensor:
    """log q(y) - log p(y) at the student's samples y, with the policy gradient: that of -A log q(y), A constant.

    ``tokens`` int64 [N] are drawn from q. A = log p(y) - log q(y) is the advantage. Over the samples the mean is KL(q‖p),
    and the mean of the gradients is its gradient. A single value may be negative.
    """
    return evaluate(partial(_sampled_reverse_kl, tokens=tokens), student_logits, teacher_logits)


def target_kl(student_logits: Tensor, teacher_logits: Tensor, tokens: Tensor) -> Tensor:
    """KL divergence of (p(y), 1 - p(y)) from (q(y), 1 - q(y)), ``tokens`` y int64 [N]. Zhong et al. 2024 (ATKD): TKD."""
    return evaluate(partial(_target_kl, tokens=tokens), student_logits, teacher_logits)


def non_target_kl(student_logits: Tensor, teacher_logits: Tensor, tokens: Tensor) -> Tensor:
    """KL(p‖q) over all tokens but y, normalised without it; ``tokens`` y int64 [N]. Zhong et al. 2024 (ATKD): DKD.

    KL(p‖q) is `target_kl` + (1 - p(y)) times this. Where the teacher gives everything to y it is 0.
    """
    return evaluate(partial(_non_target_kl, tokens=tokens), student_logits, teacher_logits)


def _sampled_reverse_kl(log_p: Tensor, log_q: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    chosen = tokens[:, None]
    value = log_q.gather(1, chosen) - log_p.gather(1, chosen)
    gradient = log_q.exp_().mul_(-value).scatter_add_(1, chosen, value)
    return value.squeeze(1), gradient


def _target_kl(log_p: Tensor, log_q: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    chosen = tokens[:, None]
    (log_p_y, log_p_rest, _), (log_q_y, log_q_rest, rest) = _split(log_p, chosen), _split(log_q, chosen)
    p_y, p_rest = log_p_y.exp(), log_p_rest.exp()
    value = p_y * (log_p_y - log_q_y) + p_rest * (log_p_rest - log_q_rest)
    # by the logit of y against the rest, which grows with z(y) and falls with each other's share of the rest
    slope = (log_q_y.exp() * p_rest).sub_(log_q_rest.exp() * p_y)
    gradient = rest.exp_().mul_(-slope).scatter_(1, chosen, slope)
    return value.squeeze(1), gradient


def _non_target_kl(log_p: Tensor, log_q: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    from kdzoo.methods.closed_form import LOG_OF_ZERO

    chosen = tokens[:, None]
    (_, log_p_rest, teacher), (_, _, student) = _split(log_p, chosen), _split(log_q, chosen)
    there_is_a_rest = log_p_rest > LOG_OF_ZERO / 2
    p = teacher.exp().mul_(there_is_a_rest)
    value = teacher.sub_(student).mul_(p).sum(-1)
    return value, student.exp_().mul_(there_is_a_rest).sub_(p)


def _split(log_p: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """log p(y) and log(1 - p(y)), [N, 1], and the logarithms of the others, normalised without y: [N, V].

    1 - p(y) is summed up from the others, not subtracted: little of it would be left in float32.
    """
    from kdzoo.methods.closed_form import LOG_OF_ZERO

    log_p_y = log_p.gather(1, chosen)
    others = log_p.scatter(1, chosen, float("-inf"))
    log_rest = others.logsumexp(-1, keepdim=True).clamp_min_(LOG_OF_ZERO)
    # not less log_rest: where little is left, that is a difference of large numbers
    return log_p_y, log_rest, others.log_softmax(-1).clamp_min_(LOG_OF_ZERO)
