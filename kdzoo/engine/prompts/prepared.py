"""What a method has prepared of each prompt, put together for a batch of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor


def put_together(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors [B, ...] by name from those of each prompt, padded with zeros at their ends to one shape."""
    names = rows[0].keys() if rows else ()
    return {name: _padded([row[name] for row in rows]) for name in names}


def _padded(tensors: list[Tensor]) -> Tensor:
    shape = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
    together = tensors[0].new_zeros(len(tensors), *shape)
    for row, tensor in zip(together, tensors, strict=True):
        row[tuple(slice(size) for size in tensor.shape)] = tensor
    return together
