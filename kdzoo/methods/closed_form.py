"""Functions of the student's logits whose gradient is known in closed form.

Recording a divergence operation by operation keeps several tensors of tokens x vocabulary until the backward
pass. Its gradient is as cheap as its value, so it is computed at once, in the tensors that the value has
already filled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Formula = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Takes log p and log q, float32 [N, V], which it may overwrite.

Gives the value [N] and its gradient [N, V] with respect to the student's logits."""

_Evaluation = Callable[[Tensor], tuple[Tensor, Tensor]]
"""The same, of the student's logits alone."""

LOG_OF_ZERO = -1e4
"""What stands for log 0: its exponential is 0, and differences and products with it stay finite."""


def evaluate(formula: Formula, student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Apply a formula to logits [N, V] of any float type: float32 [N], with gradients to the student."""

    def evaluation(logits: Tensor) -> tuple[Tensor, Tensor]:
        return formula(_log_softmax(teacher_logits), _log_softmax(logits))

    value: Tensor = _ClosedForm.apply(student_logits, evaluation)  # type: ignore[no-untyped-call]
    return value


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-log q(label) of each row of logits [N, V] of any float type; ``labels`` int64 [N]: float32 [N]."""

    def evaluation(logits: Tensor) -> tuple[Tensor, Tensor]:
        log_q = logits.float().log_softmax(-1)
        chosen = labels[:, None]
        value = -log_q.gather(1, chosen).squeeze(1)
        # the gradient is q - onehot(label)
        return value, log_q.exp_().scatter_add_(1, chosen, log_q.new_full(chosen.shape, -1.0))

    value: Tensor = _ClosedForm.apply(logits, evaluation)  # type: ignore[no-untyped-call]
    return value


def sparse_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """sum over k of -weights[k] log q(labels[k]) of each row of logits [N, V] of any float type: float32 [N].

    ``labels`` int64 [N, K] may name an entry twice; ``weights`` float [N, K] need not sum to 1. log 0 is `LOG_OF_ZERO`, so
    that a label of weight 0 counts nothing.
    """

    def evaluation(logits: Tensor) -> tuple[Tensor, Tensor]:
        log_q, parts = _log_softmax(logits), weights.float()
        value = -(log_q.gather(1, labels) * parts).sum(-1)
        # the gradient is q times the sum of the weights, less the weights
        return value, log_q.exp_().mul_(parts.sum(-1, keepdim=True)).scatter_add_(1, labels, -parts)

    value: Tensor = _ClosedForm.apply(logits, evaluation)  # type: ignore[no-untyped-call]
    return value


class _ClosedForm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, evaluation: _Evaluation) -> Tensor:
        value, gradient = evaluation(logits)
        ctx.save_for_backward(gradient)
        ctx.dtype = logits.dtype
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * upstream[0].unsqueeze(-1)).to(ctx.dtype), None


def _log_softmax(logits: Tensor) -> Tensor:
    return logits.float().log_softmax(-1).clamp_min_(LOG_OF_ZERO)
