"""Cross entropies of the student with targets that are known before it is run: they need no teacher's logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def cross_entropy(student_logits: Tensor, tokens: Tensor) -> Tensor:
    """-log q(y) at each token y, ``tokens`` int64 [N]: maximum likelihood. Infinite where q(y) is 0."""
    from kdzoo.methods import closed_form  # here, because it imports torch

    return closed_form.cross_entropy(student_logits, tokens)


def sparse_cross_entropy(student_logits: Tensor, tokens: Tensor, weights: Tensor) -> Tensor:
    """sum over k of -w_k log q(y_k), ``tokens`` y int64 [N, K] and ``weights`` w float [N, K], of any sum.

    Up to a constant it is the KL divergence of the distribution that gives w_k to y_k. Anshumann et al. 2025 (RS-KD).
    """
    from kdzoo.methods import closed_form

    return closed_form.sparse_cross_entropy(student_logits, tokens, weights)
