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

LOG_OF_ZERO = -1e4
"""What stands for log 0: its exponential is 0, and differences and products with it stay finite."""


def evaluate(formula: Formula, student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Apply a formula to logits [N, V] of any float type: float32 [N], with gradients to the student."""
    value: Tensor = _ClosedForm.apply(student_logits, teacher_logits, formula)  # type: ignore[no-untyped-call]
    return value


class _ClosedForm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, student_logits: Tensor, teacher_logits: Tensor, formula: Formula) -> Tensor:
        value, gradient = formula(_log_softmax(teacher_logits), _log_softmax(student_logits))
        ctx.save_for_backward(gradient)
        ctx.dtype = student_logits.dtype
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * upstream[0].unsqueeze(-1)).to(ctx.dtype), None, None


def _log_softmax(logits: Tensor) -> Tensor:
    return logits.float().log_softmax(-1).clamp_min_(LOG_OF_ZERO)
