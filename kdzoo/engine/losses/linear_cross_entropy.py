"""Cross entropy of a plain linear projection, which never holds more than a few tokens' logits.

The gradient is computed while a chunk's logits are at hand and written over them, and the weight's gradient is added
up in place. On a CPU most of what this saves is the first touch of fresh memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# 16 MiB of logits: they stay in a CPU's cache from one pass to the next.
_CHUNK_ELEMENTS = 1 << 22


def linear_cross_entropy(rows: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Sum of -log softmax(weight @ row)[label] over N tokens: a float32 scalar, in nats.

    ``rows`` is float32 [N, hidden size], ``weight`` float32 [V, hidden size], ``labels`` int64 [N]. Gradients reach
    rows and weight, once.
    """
    total: Tensor = _LinearCrossEntropy.apply(rows, weight, labels)  # type: ignore[no-untyped-call]
    return total


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        size = max(1, _CHUNK_ELEMENTS // weight.shape[0])
        logits = rows.new_empty(min(size, len(rows)), weight.shape[0])
        of_rows = torch.empty_like(rows) if ctx.needs_input_grad[0] else None
        of_weight = torch.empty_like(weight) if ctx.needs_input_grad[1] else None
        total = rows.new_zeros(())
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            chunk = logits[: len(some)]
            torch.mm(some, weight.t(), out=chunk)
            total += _to_gradient(chunk, labels[start : start + size])
            if of_rows is not None:
                torch.mm(chunk, weight, out=of_rows[start : start + size])
            if of_weight is not None:
                torch.addmm(of_weight, chunk.t(), some, beta=0 if start == 0 else 1, out=of_weight)
        ctx.gradients = (of_rows, of_weight)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        if ctx.gradients is None:
            raise RuntimeError("the gradients of this cross entropy have been handed out; compute it again")
        of_rows, of_weight = (None if g is None else g.mul_(upstream[0]) for g in ctx.gradients)
        ctx.gradients = None
        return of_rows, of_weight, None


def _to_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum the cross entropies of logits [n, V], and write their gradient over them: softmax(logits) - onehot(label)."""
    chosen = labels[:, None]
    of_label = logits.gather(1, chosen)
    greatest, where = logits.max(-1, keepdim=True)
    torch.softmax(logits, -1, out=logits)
    # the greatest probability is at least 1 / V: unlike the label's, its logarithm is safe
    log_sum = greatest - logits.gather(1, where).log()
    logits.scatter_add_(1, chosen, logits.new_full(chosen.shape, -1.0))
    return (log_sum - of_label).sum()
