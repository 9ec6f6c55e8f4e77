"""The prompts of an optimizer step, cut into the parts that each process runs one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from torch.utils.data import Sampler

from kdzoo.engine.prompts.batch_order import SeededSampler
from kdzoo.engine.prompts.shares import share_of


@dataclass(frozen=True)
class StepSize:
    """How many prompts an optimizer step takes, over all processes, and how many of them are run at once at the most."""

    prompts: int
    at_once: int

    def __post_init__(self) -> None:
        if not 0 < self.at_once <= self.prompts:
            raise ValueError(f"{self.at_once} prompts at once of {self.prompts} of a step")

    def part(self, processes: int) -> int:
        """The prompts of a part, where each process has its share of a step."""
        return min(self.at_once, math.ceil(self.prompts / processes))

    def parts(self, processes: int) -> int:
        """The parts that each process runs in a step."""
        return math.ceil(math.ceil(self.prompts / processes) / self.part(processes))


class StepShares(Sampler[list[int]]):
    """Gives a process its parts of all steps of an epoch, as lists of examples' numbers.

    A step takes the next prompts in the sampler's order, whatever the number of processes; these have neighbours of them,
    in numbers that differ by one at the most. All processes have as many parts of a step, so that none waits for another
    in vain: where there are fewer prompts than processes, or one fewer than others have, a part may be empty.
    """

    def __init__(
        self, sampler: SeededSampler, size: StepSize, *, process: int = 0, processes: int = 1
    ) -> None:
        self.sampler = sampler
        self._size = size
        self._process = process
        self._processes = processes

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self._size.prompts)
        return whole * self._size.parts(self._processes) + (self._parts_of(rest) if rest else 0)

    def __iter__(self) -> Iterator[list[int]]:
        order = iter(self.sampler)
        size = self._size.part(self._processes)
        while step := list(islice(order, self._size.prompts)):
            share = share_of(step, self._process, self._processes)
            for number in range(self._parts_of(len(step))):
                yield share[number * size : (number + 1) * size]

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch's order to give."""
        self.sampler.set_epoch(epoch)

    def _parts_of(self, prompts: int) -> int:
        return math.ceil(math.ceil(prompts / self._processes) / self._size.part(self._processes))
