"""Choosing tokens by uniform numbers. Imports torch when it is first called, so that methods are listed without."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# the smallest normal number of float32: a smaller temperature would be 0 where logits are divided by it
_SMALLEST = 2.0**-126


def next_tokens(logits: Tensor, temperature: float, uniform: Tensor | None) -> Tensor:
    """Choose one token per row: int64 [n] from logits [n, V].

    ``temperature`` 0 takes the most probable. Otherwise ``uniform`` (float [n] in [0, 1)) is put through the
    inverse of the cumulative distribution, so that each row's choice depends on its own number alone.

    Raises:
        ValueError: the temperature is negative or no number, or there are no uniform numbers to sample by.
    """
    import torch

    if not temperature >= 0:
        raise ValueError(f"a sampling temperature is 0 or more, not {temperature}")
    if temperature == 0:
        return logits.argmax(-1)
    if uniform is None:
        raise ValueError("sampling needs a uniform number for each row")
    # the highest logit is taken off first: however small the temperature, it then stands at 0 and none above it
    below = logits.float() - logits.float().amax(-1, keepdim=True)
    cumulative = (below / max(temperature, _SMALLEST)).softmax(-1).double().cumsum(-1)
    point = uniform.to(cumulative)[:, None] * cumulative[:, -1:]
    # the first token whose cumulative probability exceeds the point: never one of probability 0
    chosen = torch.searchsorted(cumulative, point, right=True)
    return chosen.squeeze(-1).clamp_max(logits.shape[-1] - 1)
