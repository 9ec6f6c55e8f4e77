"""Scored tokens before they meet the vocabulary, and losses over them computed a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from kdzoo.engine.losses.linear_cross_entropy import linear_cross_entropy
from kdzoo.methods.closed_form import cross_entropy

# Logits of one chunk at the most. Peak memory of a loss is a small multiple of this, whatever the batch.
CHUNK_ELEMENTS = 1 << 24


@dataclass(eq=False)
class ScoredHiddenStates:
    """N scored tokens of one model: what its projection turns into logits.

    ``rows`` is float [N, hidden size], or [N, V] where the model gave logits at once and ``project`` does nothing.
    ``parameters`` are the projection's trainable parameters, which gradients must reach too. ``weight`` [V, hidden
    size] is given where ``project`` is a product with it and no more. ``hidden`` holds what layers that were asked for
    have at the same tokens, float [N, H] each, by the layer's number.
    """

    rows: Tensor
    project: Callable[[Tensor], Tensor]
    vocabulary: int
    parameters: list[Tensor] = field(default_factory=list)
    weight: Tensor | None = None
    hidden: dict[int, Tensor] = field(default_factory=dict)
    _logits: Tensor | None = None

    def __len__(self) -> int:
        return self.rows.shape[0]

    @property
    def chunk_size(self) -> int:
        """The tokens of a chunk: so many that their logits fit the limit."""
        return max(1, CHUNK_ELEMENTS // self.vocabulary)

    def chunks(self) -> Iterator[slice]:
        """Cut the tokens so that the logits of each part fit the limit."""
        size = self.chunk_size
        for start in range(0, len(self), size):
            yield slice(start, min(start + size, len(self)))

    @property
    def fits_one_chunk(self) -> bool:
        """Whether all logits may be held at once."""
        return len(self) * self.vocabulary <= CHUNK_ELEMENTS

    def only(self, tokens: Tensor) -> ScoredHiddenStates:
        """The tokens marked in ``tokens`` (bool [N])."""
        return ScoredHiddenStates(
            self.rows[tokens], self.project, self.vocabulary, self.parameters, self.weight
        )

    def logits(self, part: slice) -> Tensor:
        """Logits [n, V] of a part, without keeping them."""
        return self.project(self.rows[part])

    def all_logits(self) -> Tensor:
        """Logits [N, V] of all tokens, kept: several losses on the same tokens project them once."""
        if self._logits is None or (torch.is_grad_enabled() and not self._logits.requires_grad):
            self._logits = self.project(self.rows)
        return self._logits


TokenLoss = Callable[[Tensor, slice], Tensor]
"""Takes a chunk's student logits [n, V] and which tokens they are; gives the loss of each, [n]."""


def sum_over_tokens(
    states: ScoredHiddenStates, token_loss: TokenLoss, of_method: Sequence[Tensor] = ()
) -> Tensor:
    """Sum a per-token loss over all tokens of the student: a scalar with gradients, in float32.

    Gradients reach the student and the trained parameters ``of_method`` that the loss uses.

    Where the logits do not fit in one chunk, each chunk's gradients are computed while its logits are at hand, so
    that no more than one chunk of logits ever exists. The result is the same.
    """
    if len(states) == 0:
        return states.rows.sum() * 0.0
    if states.fits_one_chunk:
        return token_loss(states.all_logits(), slice(0, len(states))).float().sum()
    if not torch.is_grad_enabled():
        parts = [token_loss(states.logits(part), part).float().sum() for part in states.chunks()]
        return torch.stack(parts).sum()
    total: Tensor = _ChunkedSum.apply(states, token_loss, states.rows, *states.parameters, *of_method)  # type: ignore[no-untyped-call]
    return total


def sum_of_cross_entropies(states: ScoredHiddenStates, labels: Tensor) -> Tensor:
    """Sum -log q(label) over all tokens; ``labels`` int64 [N]: a scalar with gradients, in float32."""
    weight = states.weight
    if weight is None or len(states) == 0 or not _is_computed_at_once(states):
        return sum_over_tokens(states, lambda logits, part: cross_entropy(logits, labels[part]))
    return linear_cross_entropy(states.rows, weight, labels)


def _is_computed_at_once(states: ScoredHiddenStates) -> bool:
    """Whether cross entropy and its gradient are: in single precision, where no other loss has projected the tokens."""
    lowered = torch.is_autocast_enabled(states.rows.device.type)
    single = states.rows.dtype == torch.float32 and not lowered
    return torch.is_grad_enabled() and single and states._logits is None


def log_probabilities(states: ScoredHiddenStates, labels: Tensor, vocabulary: int | None) -> Tensor:
    """Log q(label) of each token among the first ``vocabulary`` ids (None: all); ``labels`` int64 [N]: float32 [N], in nats.

    Where the logits do not fit in one chunk, only a chunk of them ever exists, also with gradients: the backward pass
    projects each chunk again.
    """
    known = slice(vocabulary)
    if len(states) == 0 or states.fits_one_chunk:
        return -cross_entropy(states.all_logits()[:, known], labels)
    if not torch.is_grad_enabled():
        return map_tokens(states, lambda logits, part: -cross_entropy(logits[:, known], labels[part]))

    def of_chunk(rows: Tensor, labels: Tensor) -> Tensor:
        return -cross_entropy(states.project(rows)[:, known], labels)

    size = states.chunk_size
    # split, not sliced: a slice's gradient is as large as all rows
    parts = zip(torch.split(states.rows, size), torch.split(labels, size), strict=True)
    # it puts back the random state and the precision of the forward pass: a LoRA's dropout is the same again
    return torch.cat([checkpoint(of_chunk, *part, use_reentrant=False) for part in parts])


def map_tokens(states: ScoredHiddenStates, function: Callable[[Tensor, slice], Tensor]) -> Tensor:
    """Apply a function of logits to all tokens, a chunk at a time: [N, ...]."""
    # without tokens the function still says of which type its values are
    parts = list(states.chunks()) or [slice(0, 0)]
    return torch.cat([function(states.logits(part), part) for part in parts])


class _ChunkedSum(torch.autograd.Function):
    """Computes the gradients in the forward pass; the backward pass only scales them."""

    @staticmethod
    def forward(
        ctx: Any, states: ScoredHiddenStates, token_loss: TokenLoss, rows: Tensor, *parameters: Tensor
    ) -> Tensor:
        total = rows.new_zeros((), dtype=torch.float32)
        rows_gradient = torch.zeros_like(rows) if rows.requires_grad else None
        # summed in float32: many small contributions would be lost in bfloat16
        sums = [torch.zeros_like(p, dtype=torch.float32) if p.requires_grad else None for p in parameters]
        wanted = [p for p in parameters if p.requires_grad]
        for part in states.chunks():
            with torch.enable_grad():
                chunk = rows[part].detach().requires_grad_(rows_gradient is not None)
                loss = token_loss(states.project(chunk), part).float().sum()
            inputs = ([chunk] if rows_gradient is not None else []) + wanted
            gradients = list(torch.autograd.grad(loss, inputs, allow_unused=True))
            total += loss.detach()
            if rows_gradient is not None:
                gradient = gradients.pop(0)
                if gradient is not None:
                    rows_gradient[part] = gradient
            remaining = iter(gradients)
            for summed in sums:
                if summed is not None and (gradient := next(remaining)) is not None:
                    summed += gradient
        ctx.gradients = (rows_gradient, sums)
        ctx.dtypes = [p.dtype for p in parameters]
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        scale = upstream[0]
        rows_gradient, sums = ctx.gradients
        ctx.gradients = None
        rows = None if rows_gradient is None else rows_gradient * scale.to(rows_gradient.dtype)
        weights = [None if s is None else (s * scale).to(d) for s, d in zip(sums, ctx.dtypes, strict=True)]
        return (None, None, rows, *weights)
