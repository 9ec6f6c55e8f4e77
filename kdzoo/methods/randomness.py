"""The seeded random source of a training step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


class StepGenerator:
    """Uniform random numbers that depend on the seed, the step and the example, and on nothing else.

    Every row draws from a stream of its own, named by its example. So a batch gives the same numbers however
    it is ordered, padded, or split over accumulation steps and processes, and an interrupted run continues in
    the same way without any saved state. The global generators of torch are never touched.
    """

    def __init__(self, seed: int, step: int, examples: Sequence[int]) -> None:
        self._seed = seed
        self._step = step
        self._examples = list(examples)
        self._draws = 0

    def per_row(self, count: int) -> Tensor:
        """Draw float32 [B, count] in [0, 1): ``count`` numbers for each prompt of the batch, on the CPU.

        Row i's first numbers are the same for every ``count``.
        """
        self._draws += 1
        rows = [self._stream("row", self._draws, example, count) for example in self._examples]
        return torch.stack(rows) if rows else torch.empty(0, count)

    def per_batch(self) -> float:
        """Draw one number in [0, 1) that is the same for all parts of a split batch."""
        self._draws += 1
        return float(self._stream("batch", self._draws, -1, 1))

    def _stream(self, what: str, draw: int, example: int, count: int) -> Tensor:
        name = f"{self._seed}:{self._step}:{what}:{draw}:{example}".encode()
        seed = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little", signed=True)
        generator = torch.Generator().manual_seed(seed)
        return torch.rand(count, generator=generator)
