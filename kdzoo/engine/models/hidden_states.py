"""The hidden states between a model's layers, by transformers' own numbers for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from kdzoo.errors import RunError


def asked_for(layers: Sequence[int]) -> dict[str, list[int]]:
    """What to call a model of transformers with, so that its output holds the hidden states of these layers."""
    return {"output_hidden_states": list(layers)} if layers else {}


def hidden_states_of(output: Any, layers: Sequence[int], rows: int) -> list[Tensor]:
    """Take the hidden states of these layers, float [``rows``, T, H] each, out of what a model has given.

    Raises:
        RunError: the model has no such layer, or the architecture gives no hidden states of that shape.
    """
    if not layers:
        return []
    states = getattr(output, "hidden_states", None)
    if not states:
        raise RunError(f"hidden: the model's output, {type(output).__name__}, has no hidden states")
    beyond = [layer for layer in layers if not -len(states) <= layer < len(states)]
    if beyond:
        raise RunError(
            f"hidden: there is no layer {beyond[0]}; the model has 0 to {len(states) - 1} "
            "(0 is what goes into the first layer), or -1 for the last and so on"
        )
    chosen: list[Tensor] = [states[layer] for layer in layers]
    for layer, state in zip(layers, chosen, strict=True):
        if state.dim() != 3 or state.shape[0] != rows:
            raise RunError(
                f"hidden: layer {layer} of this architecture has the shape {list(state.shape)}, "
                "which is not one vector a token"
            )
    return chosen
