"""Looking up the embeddings of several batches of tokens, with one dense gradient for all of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding as look_up


class DenseGradientEmbedding:
    """The lookups of one step in an embedding.

    By itself each would make a gradient as large as the embedding, nearly all zeros. Here they give sparse ones, and
    their sum is made dense.
    """

    def __init__(self, embedding: nn.Embedding) -> None:
        self._embedding = embedding
        self._weight: Tensor | None = None

    def __call__(self, tokens: Tensor) -> Tensor:
        """Embeddings [..., hidden size] of token ids, int64 [...]."""
        weight = self._embedding.weight
        if torch.is_grad_enabled():
            if self._weight is None:
                self._weight = _WithDenseGradient.apply(weight)  # type: ignore[no-untyped-call]
            weight = self._weight
        return look_up(tokens, weight, self._embedding.padding_idx, sparse=True)


class _WithDenseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        return weight.view_as(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> Tensor:
        return upstream[0].to_dense()
