"""Key-value caches that continue from a prompt without touching the prompt's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import Cache, DynamicLayer


@dataclass(frozen=True, eq=False)
class KeyValues:
    """Keys and values of every layer, each of shape [B, heads, tokens, head size].

    ``buffers``, where there are any, are the same tensors with room for more tokens behind those that they hold.
    """

    layers: tuple[tuple[Tensor, Tensor], ...]
    buffers: tuple[tuple[Tensor, Tensor], ...] | None = None

    @staticmethod
    def of(cache: Cache) -> KeyValues:
        """Take the tensors that a model has left in its cache."""
        in_place = [layer for layer in cache.layers if isinstance(layer, _InPlace)]
        return KeyValues(
            tuple((layer.keys, layer.values) for layer in cache.layers),
            tuple((layer.all_keys, layer.all_values) for layer in in_place) or None,
        )

    @property
    def length(self) -> int:
        """The number of token positions held."""
        return self.layers[0][0].shape[2]

    @property
    def room(self) -> int:
        """The number of tokens that the buffers can take in addition."""
        return 0 if self.buffers is None else self.buffers[0][0].shape[2] - self.length

    def map(self, function: Callable[[Tensor], Tensor]) -> KeyValues:
        """Apply a function to all keys and values."""
        return KeyValues(tuple((function(keys), function(values)) for keys, values in self.layers))

    def detach(self) -> KeyValues:
        """The same numbers without gradients."""
        return self.map(Tensor.detach)

    def repeated(self, times: Sequence[int], room: int) -> KeyValues:
        """Each row as often as ``times`` says, without gradients, in buffers with room for so many more tokens."""
        buffers = tuple(
            (_repeated(keys, times, room), _repeated(values, times, room)) for keys, values in self.layers
        )
        length = self.length
        return KeyValues(tuple((k[:, :, :length], v[:, :, :length]) for k, v in buffers), buffers)


def first_pass() -> Cache:
    """An empty cache, which takes the tokens of one pass."""
    return Cache(layer_class_to_replicate=_FirstPass)


def continued(prompt: KeyValues, tokens: int, per_row: Callable[[Tensor], Tensor] | None = None) -> Cache:
    """A cache that starts with the prompt's keys and values and takes one pass of so many tokens more.

    ``per_row`` gives each row its own of them, where rows share some: a layer's when it is run, not all at once.

    Appending makes new tensors, with gradients, unless the prompt has room: then it writes behind the prompt, over
    what was written there before. A pass whose layers are computed again gives the same again.
    """
    if prompt.buffers is not None and tokens <= prompt.room:
        return Cache(layers=[_InPlace(*layer, prompt.length) for layer in prompt.buffers])
    return Cache(layers=[_Continued(keys, values, per_row) for keys, values in prompt.layers])


def branch(prompt: KeyValues, tokens: int) -> Cache:
    """The same for a pass that nothing is continued from: what it appends is kept by whoever needs it, not by the cache."""
    if prompt.buffers is not None and tokens <= prompt.room:
        return continued(prompt, tokens)
    return Cache(layers=[_Ending(keys, values) for keys, values in prompt.layers])


def growing_branch(prompt: KeyValues, rows: Tensor, room: int) -> Cache:
    """A cache for the generation of so many tokens after the prompts of the given rows (int64 indices)."""
    if room <= prompt.room and len(rows) == prompt.layers[0][0].shape[0]:
        return branch(prompt, room)
    # the layers of a model that is spread over devices keep their own where they are
    grown = prompt.map(lambda kv: pad(kv.index_select(0, rows.to(kv.device)), (0, 0, 0, room)))
    return Cache(layers=[_InPlace(keys, values, prompt.length) for keys, values in grown.layers])


def keep_rows(cache: Cache, rows: Tensor) -> None:
    """Drop all other rows (int64 indices) from a cache made by `growing_branch`."""
    for layer in cache.layers:
        assert isinstance(layer, _InPlace)
        layer.keep_rows(rows)


class _FirstPass(DynamicLayer):  # type: ignore[misc]
    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        # no copy as transformers' has; computed again, it is what it was
        self.keys, self.values = key_states, value_states
        self.dtype, self.device = key_states.dtype, key_states.device
        self.is_initialized = True
        return key_states, value_states


class _Ending(DynamicLayer):  # type: ignore[misc]
    def __init__(
        self, keys: Tensor, values: Tensor, per_row: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True
        self._before = keys, values
        self._per_row = per_row

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        keys, values = self._before
        if self._per_row is not None:
            keys, values = self._per_row(keys), self._per_row(values)
        return torch.cat([keys, key_states], dim=2), torch.cat([values, value_states], dim=2)


class _Continued(_Ending):
    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        self.keys, self.values = super().update(key_states, value_states)
        return self.keys, self.values


class _InPlace(_Ending):
    def __init__(self, all_keys: Tensor, all_values: Tensor, filled: int) -> None:
        super().__init__(all_keys, all_values)
        self.all_keys, self.all_values = all_keys, all_values
        self._filled = filled
        self._view()

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        end = self._filled + key_states.shape[2]
        self.all_keys[:, :, self._filled : end] = key_states
        self.all_values[:, :, self._filled : end] = value_states
        self._filled = end
        self._view()
        return self.keys, self.values

    def keep_rows(self, rows: Tensor) -> None:
        rows = rows.to(self.all_keys.device)
        self.all_keys = self.all_keys.index_select(0, rows)
        self.all_values = self.all_values.index_select(0, rows)
        self._view()

    def _view(self) -> None:
        self.keys = self.all_keys[:, :, : self._filled]
        self.values = self.all_values[:, :, : self._filled]


def _repeated(tensor: Tensor, times: Sequence[int], room: int) -> Tensor:
    groups, heads, length, size = tensor.shape
    buffer = tensor.new_empty(sum(times), heads, length + room, size)
    if len(set(times)) == 1:
        by_group = buffer.view(groups, times[0], heads, length + room, size)
        by_group[..., :length, :] = tensor[:, None]
        return buffer
    row = 0
    for group, count in enumerate(times):
        buffer[row : row + count, :, :length] = tensor[group]
        row += count
    return buffer
