"""How long a generated sequence may be, and when it ends."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SamplingLimits:
    """``output`` tokens at the most, the end of sequence included; a sequence ends with a token of ``end_ids``.

    Only ids below ``vocabulary`` are drawn, where it is given: what another model is to read must be in its
    vocabulary too, and padding may have made the two of different sizes.
    """

    output: int
    end_ids: tuple[int, ...]
    vocabulary: int | None = None


def is_end(tokens: Tensor, end_ids: tuple[int, ...]) -> Tensor:
    """Bool [B]: which tokens end a sequence."""
    ends = torch.zeros_like(tokens, dtype=torch.bool)
    for end in end_ids:
        ends |= tokens == end
    return ends
