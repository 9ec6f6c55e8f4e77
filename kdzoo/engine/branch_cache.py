"""Key-value caches that continue from a prompt without touching the prompt's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer


@dataclass(frozen=True, eq=False)
class KeyValues:
    """Keys and values of every layer, each of shape [B, heads, tokens, head size]."""

    layers: tuple[tuple[Tensor, Tensor], ...]

    @staticmethod
    def of(cache: Cache) -> KeyValues:
        """Take the tensors that a model has left in its cache."""
        return KeyValues(tuple((layer.keys, layer.values) for layer in cache.layers))

    @property
    def length(self) -> int:
        """The number of token positions held."""
        return self.layers[0][0].shape[2]

    def map(self, function: Callable[[Tensor], Tensor]) -> KeyValues:
        """Apply a function to all keys and values."""
        return KeyValues(tuple((function(keys), function(values)) for keys, values in self.layers))

    def detach(self) -> KeyValues:
        """The same numbers without gradients."""
        return self.map(Tensor.detach)


def branch(prompt: KeyValues) -> Cache:
    """A cache that starts with the prompt's keys and values; appending to it makes new tensors, with gradients."""
    return Cache(layers=[_Continued(keys, values) for keys, values in prompt.layers])


def growing_branch(prompt: KeyValues, room: int) -> Cache:
    """A cache for generation: the prompt is copied once, with room for so many more tokens written in place."""
    return Cache(layers=[_Growing(keys, values, room) for keys, values in prompt.layers])


def keep_rows(cache: Cache, rows: Tensor) -> None:
    """Drop all other rows (int64 indices) from a cache made by `growing_branch`."""
    for layer in cache.layers:
        assert isinstance(layer, _Growing)
        layer.keep_rows(rows)


class _Continued(DynamicLayer):  # type: ignore[misc]
    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True


class _Growing(_Continued):
    def __init__(self, keys: Tensor, values: Tensor, room: int) -> None:
        super().__init__(keys, values)
        self._filled = keys.shape[2]
        self._all_keys = torch.nn.functional.pad(keys, (0, 0, 0, room))
        self._all_values = torch.nn.functional.pad(values, (0, 0, 0, room))
        self._view()

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        end = self._filled + key_states.shape[2]
        self._all_keys[:, :, self._filled : end] = key_states
        self._all_values[:, :, self._filled : end] = value_states
        self._filled = end
        self._view()
        return self.keys, self.values

    def keep_rows(self, rows: Tensor) -> None:
        self._all_keys = self._all_keys.index_select(0, rows)
        self._all_values = self._all_values.index_select(0, rows)
        self._view()

    def _view(self) -> None:
        self.keys = self._all_keys[:, :, : self._filled]
        self.values = self._all_values[:, :, : self._filled]
