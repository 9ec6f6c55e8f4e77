"""Concrete scores: the differences of logits between all pairs of vocabulary entries, matched to the teacher's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from kdzoo.methods.divergences.evaluation import evaluate

if TYPE_CHECKING:
    from torch import Tensor

Weight = Literal["student", "teacher", "uniform"]


def concrete_score(
    student_logits: Tensor,
    teacher_logits: Tensor,
    w1: Weight = "student",
    w2: Weight = "student",
    temperature: float = 1.0,
) -> Tensor:
    """1/4 sum over pairs (y, x) of w1(y) w2(x) (d(x) - d(y))^2, d = student's - teacher's logits. Kim et al. 2025 (CSD).

    Half of equation 8, which is the scale of the paper's code. ``w1`` and ``w2`` are the student's distribution, at that
    ``temperature``, the teacher's, or the same for all entries that either model can give; they get no gradients. A
    constant added to all logits changes nothing. The gradient is theorem 3's: with both weights the student's at
    temperature 1, 1/2 Var_q(log q - log p), it is the gradient of `reverse_kl`.

    Raises:
        ValueError: ``temperature`` is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    formula = partial(_concrete_score, w1=w1, w2=w2, temperature=temperature)
    return evaluate(formula, student_logits, teacher_logits)


def _concrete_score(
    log_p: Tensor, log_q: Tensor, w1: Weight, w2: Weight, temperature: float
) -> tuple[Tensor, Tensor]:
    weights = {name: _weights(name, log_p, log_q, temperature) for name in (w1, w2)}
    first, second = weights[w1], weights[w2]
    difference = log_q.sub_(log_p)
    # centred once: the sum of the products of both means is then zero
    difference.sub_((first * difference).sum(-1, keepdim=True))
    mean = (second * difference).sum(-1, keepdim=True)
    gradient = (first + second).mul_(difference).sub_(first * mean).mul_(0.5)
    value = (first + second).mul_(difference.square_()).sum(-1).mul_(0.25)
    return value, gradient


def _weights(name: Weight, log_p: Tensor, log_q: Tensor, temperature: float) -> Tensor:
    from kdzoo.methods.closed_form import LOG_OF_ZERO

    if name == "teacher":
        return log_p.exp()
    if name == "student":
        return log_q.div(temperature).softmax(-1)
    possible = (log_p > LOG_OF_ZERO).logical_or_(log_q > LOG_OF_ZERO).to(log_q.dtype)
    return possible.div_(possible.sum(-1, keepdim=True))
