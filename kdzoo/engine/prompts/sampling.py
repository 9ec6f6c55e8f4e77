"""Choosing the next token, and when a generated sequence ends."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# a positive number of float32: a smaller temperature would be 0 where logits are divided by it
_SMALLEST = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class SamplingLimits:
    """``output`` tokens at the most, the end of sequence included; a sequence ends with a token of ``end_ids``.

    Only ids below ``vocabulary`` are drawn, where it is given: what another model is to read must be in its
    vocabulary too, and padding may have made the two of different sizes.
    """

    output: int
    end_ids: tuple[int, ...]
    vocabulary: int | None = None


def next_tokens(logits: Tensor, temperature: float, uniform: Tensor | None) -> Tensor:
    """Choose one token per row: int64 [B] from logits [B, V].

    ``temperature`` 0 takes the most probable. Otherwise ``uniform`` (float [B] in [0, 1)) is put through the
    inverse of the cumulative distribution, so that each row's choice depends on its own number alone.

    Raises:
        ValueError: the temperature is negative or no number, or there are no uniform numbers to sample by.
    """
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


def is_end(tokens: Tensor, end_ids: tuple[int, ...]) -> Tensor:
    """Bool [B]: which tokens end a sequence."""
    ends = torch.zeros_like(tokens, dtype=torch.bool)
    for end in end_ids:
        ends |= tokens == end
    return ends
