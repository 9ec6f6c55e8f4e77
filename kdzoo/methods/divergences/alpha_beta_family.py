"""The alpha-beta divergence, between teacher and student and to an assistant that lies between them."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Literal

from kdzoo.methods.divergences.evaluation import evaluate

if TYPE_CHECKING:
    from torch import Tensor

Order = Literal["pr", "qr", "rp", "rq"]

# The values of the two formulas with a quotient differ by less than float32 tells if both parameters are smaller.
_SMALLEST = 0.01

# Powers of improbable entries with negative exponents are cut off here: a sum of them is still a float32.
_LARGEST_EXPONENT = 60.0


def check_alpha_beta(alpha: float, beta: float) -> None:
    """Check the parameters of an alpha-beta divergence.

    Raises:
        ValueError: one is not finite; their sum is negative (then entries that neither model gives any probability
            decide the value); or both are closer to 0 than 0.01 without being 0 (then float32 holds none of it).
    """
    if not (math.isfinite(alpha) and math.isfinite(beta)):
        raise ValueError(f"alpha and beta must be finite, not {alpha} and {beta}")
    if alpha + beta < 0:
        raise ValueError(f"alpha + beta must be at least 0, not {alpha} + {beta}")
    if 0 < max(abs(alpha), abs(beta)) < _SMALLEST:
        raise ValueError(
            f"alpha and beta must both be 0, or one of them at least {_SMALLEST} away from it, not {alpha} and {beta}"
        )


def alpha_beta(student_logits: Tensor, teacher_logits: Tensor, alpha: float, beta: float) -> Tensor:
    """Alpha-beta divergence D(p‖q), Cichocki et al. 2011; Wang et al. 2025 (ABKD)::

        -1 / (alpha beta) sum p^alpha q^beta - alpha / (alpha + beta) p^(alpha + beta) - beta / (alpha + beta) q^(alpha + beta)

    Where ``alpha``, ``beta`` or their sum is 0 it is the limit. (1, 0) is `forward_kl`, (0, 1) `reverse_kl`, (1, 1) half
    the squared distance, (0, 0) half the squared distance of the logarithms.

    Raises:
        ValueError: see `check_alpha_beta`.
    """
    check_alpha_beta(alpha, beta)
    return evaluate(partial(_alpha_beta, alpha=alpha, beta=beta), student_logits, teacher_logits)


def assistant_alpha_beta(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    alpha: float,
    share: float,
    order: Order = "pr",
    ab: tuple[float, float] = (1.0, 0.0),
) -> Tensor:
    """Alpha-beta divergence of teacher or student and their assistant r. Shin et al. 2025 (AMiD).

    r is, up to its sum, (share p^k + (1 - share) q^k)^(1 / k) with k = (1 - ``alpha``) / 2: the arithmetic mean of p and
    q at ``alpha`` -1, the geometric at 1, the limit, the harmonic at 3. ``order`` names the two distributions: ``"pr"``
    is D(p‖r). ``ab`` are the divergence's own parameters; (1, 0) is the KL divergence. Gradients pass through r.

    Raises:
        ValueError: ``share`` is not between 0 and 1, where there is no assistant; or see `check_alpha_beta`.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1, not {share}")
    check_alpha_beta(*ab)
    formula = partial(_assistant_alpha_beta, power=(1 - alpha) / 2, share=share, order=order, ab=ab)
    return evaluate(formula, student_logits, teacher_logits)


def _alpha_beta(log_p: Tensor, log_q: Tensor, alpha: float, beta: float) -> tuple[Tensor, Tensor]:
    value, _, slope = _value_and_slopes(log_p, log_q, alpha, beta)
    return value, slope.sub_(log_q.exp_().mul_(slope.sum(-1, keepdim=True)))


def _assistant_alpha_beta(
    log_p: Tensor, log_q: Tensor, power: float, share: float, order: Order, ab: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    log_r, weight = _assistant(log_p, log_q, power, share)
    named = {"p": log_p, "q": log_q, "r": log_r}
    value, *slopes = _value_and_slopes(named[order[0]], named[order[1]], *ab)
    by = dict(zip(order, slopes, strict=True))
    slope = by["r"].sub_(log_r.exp_().mul_(by["r"].sum(-1, keepdim=True))).mul_(weight)
    if "q" in by:
        slope.add_(by["q"])
    return value, slope.sub_(log_q.exp_().mul_(slope.sum(-1, keepdim=True)))


def _assistant(log_p: Tensor, log_q: Tensor, power: float, share: float) -> tuple[Tensor, Tensor]:
    """The logarithm of r, and the weight d log r / d log q before r is normalised: both [N, V]."""
    from kdzoo.methods.closed_form import LOG_OF_ZERO

    difference = log_p - log_q
    weight = (math.log(1 / share - 1) - power * difference).sigmoid_()
    if power == 0:
        log_r = difference.mul_(share).add_(log_q)
    else:
        # from the greater of p^power and q^power on: what is added to it is then between 0 and its share
        from_p = power * difference > 0
        other = from_p * (1 - share) + ~from_p * share
        more = difference.mul_(power).abs_().neg_().expm1_().mul_(other).log1p_()
        log_r = more.div_(power).add_(log_p.where(from_p, log_q))
    return log_r.log_softmax(-1).clamp_min_(LOG_OF_ZERO), weight


def _value_and_slopes(
    log_x: Tensor, log_y: Tensor, alpha: float, beta: float
) -> tuple[Tensor, Tensor, Tensor]:
    """D(x‖y), [N], and its derivatives by log x and by log y, [N, V].

    With d = log x - log y and f(k, d) = (exp(k d) - 1) / k, the divergence is the sum of y^(alpha + beta)
    (f(alpha + beta, d) - f(alpha, d)) / beta, and the same with x and alpha changed for y and beta. f passes its limit d
    at k = 0 smoothly, and of the two forms the one with the greater divisor is taken.
    """
    total = alpha + beta
    by_log_y = _change(log_y, log_x, total, alpha).neg_()
    by_log_x = _change(log_x, log_y, total, beta).neg_()
    if alpha == beta == 0:
        terms = (log_x - log_y).square_().mul_(0.5)
    elif abs(beta) >= abs(alpha):
        terms = _change(log_y, log_x, total, total).add_(by_log_y).div_(beta)
    else:
        terms = _change(log_x, log_y, total, total).add_(by_log_x).div_(alpha)
    # terms of opposite rounding may end just below zero
    return terms.sum(-1).clamp_min_(0), by_log_x, by_log_y


def _change(log_base: Tensor, log_other: Tensor, total: float, k: float) -> Tensor:
    """base^total (exp(k d) - 1) / k with d = log other - log base; its limit base^total d where k is 0."""
    difference = log_other - log_base
    if k == 0:
        return difference.mul_((total * log_base).clamp_max_(_LARGEST_EXPONENT).exp_())
    # the greater of both powers, which alone may be huge, times a factor between -1 and 1
    greater = (total * log_base).maximum((total - k) * log_base + k * log_other)
    difference.mul_(k)
    factor = difference.sign().mul_(difference.abs_().neg_().expm1_().neg_()).div_(k)
    return factor.mul_(greater.clamp_max_(_LARGEST_EXPONENT).exp_())
