"""Divergences between teacher and student, per token, in nats.

Each function takes the student's and the teacher's logits, float [N, V], and gives float32 [N]; cross entropies take
tokens instead of the teacher's logits. In all formulas p is the teacher's distribution and q the student's, both the
softmax of the logits over V at temperature 1. Gradients reach the student's logits only, and only once (no second
derivatives).

Everything is computed in float32 from log-softmax. A probability of exactly zero (a logit of minus infinity)
is given the logarithm -10,000: where the formula has 0 log 0 it contributes nothing, and where it is infinite
the value is large but finite, as is its gradient.

The modules hold, below their public functions, formulas that give each value with its gradient with respect to
the student's logits z: for a divergence D with derivative g = dD/dq, that is q (g - sum q g), in which a constant
added to g makes no difference. With derivatives h = dD/d log q it is h - q sum h.
"""

from kdzoo.methods.divergences.alpha_beta_family import (
    alpha_beta,
    assistant_alpha_beta,
    check_alpha_beta,
)
from kdzoo.methods.divergences.at_token import non_target_kl, sampled_reverse_kl, target_kl
from kdzoo.methods.divergences.concrete_scores import concrete_score
from kdzoo.methods.divergences.cross_entropies import cross_entropy, sparse_cross_entropy
from kdzoo.methods.divergences.f_divergences import (
    entropy,
    forward_kl,
    jensen_shannon,
    reverse_kl,
    skew_kl,
    skew_reverse_kl,
    student_to_mixture_kl,
    teacher_to_mixture_kl,
    total_variation,
)
from kdzoo.methods.divergences.intermediate_teacher import (
    intermediate_teacher_cross_entropy,
    intermediate_teacher_kl,
)
from kdzoo.methods.divergences.weighted_kl import head_tail_kl, sigmoid_weighted_kl

__all__ = [
    "alpha_beta",
    "assistant_alpha_beta",
    "check_alpha_beta",
    "concrete_score",
    "cross_entropy",
    "entropy",
    "forward_kl",
    "head_tail_kl",
    "intermediate_teacher_cross_entropy",
    "intermediate_teacher_kl",
    "jensen_shannon",
    "non_target_kl",
    "reverse_kl",
    "sampled_reverse_kl",
    "sigmoid_weighted_kl",
    "skew_kl",
    "skew_reverse_kl",
    "sparse_cross_entropy",
    "student_to_mixture_kl",
    "target_kl",
    "teacher_to_mixture_kl",
    "total_variation",
]
