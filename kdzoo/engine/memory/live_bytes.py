"""Counting the bytes of all tensors that are alive, by watching every operation that makes one."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

# Operations that are given a mask of tokens: its numbers are known, those of what they are applied to need not be.
_INDEXING = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
}


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within its block: ``live`` are the bytes of the tensors made in it that are still there, ``peak`` the most at a time.

    Memory that several tensors share counts once. Tensors may be without numbers
    (`kdzoo.engine.memory.shadow`), with which masks of real numbers may still choose tokens.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.peak = 0
        self._known: set[int] = set()

    def forget_peak(self) -> None:
        """Begin the peak anew, from what is alive now."""
        self.peak = self.live

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _INDEXING:
            args = tree_map_only(list, _with_numbers, args, is_leaf=lambda one: isinstance(one, list))
        given = func(*args, **(kwargs or {}))
        for one in tree_leaves(given):
            if isinstance(one, Tensor) and one.layout == torch.strided:
                self._count(one)
        return given

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        address = storage._cdata
        if address in self._known:
            return
        size = storage.nbytes()
        self._known.add(address)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._drop, address, size)

    def _drop(self, address: int, size: int) -> None:
        self._known.discard(address)
        self.live -= size


def _with_numbers(indices: list[Tensor | None]) -> list[Tensor | None]:
    """Masks as the numbers of what they choose, which says how much that is."""
    found: list[Tensor | None] = []
    for one in indices:
        found += [one] if one is None or one.dtype != torch.bool else list(one.nonzero(as_tuple=True))
    return found
