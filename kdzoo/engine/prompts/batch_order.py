"""The order in which examples are drawn: by the seed and the epoch alone, and in groups that belong together."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TypeVar

from torch.utils.data import Sampler

from kdzoo.engine.prompts.batches import EncodedExample

_Item = TypeVar("_Item")


class SeededSampler(Sampler[int]):
    """Draws every example once an epoch in an order that depends on the seed and the epoch alone."""

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        order = list(range(self._count))
        random.Random(f"{self._seed}:{self.epoch}").shuffle(order)
        return iter(order)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch's order to give."""
        self.epoch = epoch


# How many parts are sorted by length together: enough that neighbours are alike, few enough that epochs differ.
_WINDOW = 8


class GroupedSampler(SeededSampler):
    """Draws every example once an epoch, in batches made of whole groups of ``group_size`` that belong together.

    Rows of similar ``lengths`` come together, within windows of shuffled rows, so that little of a batch is padding.
    Examples that are left over when a group is cut into parts of that size share batches of their own; the batches
    are then shuffled, and one that is not full comes last.
    """

    def __init__(
        self,
        groups: Sequence[str | None],
        lengths: Sequence[int],
        batch_size: int,
        group_size: int,
        seed: int,
    ) -> None:
        super().__init__(len(groups), seed)
        self._members: dict[str, list[int]] = defaultdict(list)
        for index, group in enumerate(groups):
            self._members[f"alone:{index}" if group is None else f"group:{group}"].append(index)
        self._lengths = lengths
        self._batch_size = batch_size
        self._group_size = min(group_size, batch_size)

    def __iter__(self) -> Iterator[int]:
        source = random.Random(f"{self._seed}:{self.epoch}")
        parts: list[list[int]] = []
        left_over: list[int] = []
        for members in self._members.values():
            shuffled = source.sample(members, len(members))
            whole = len(shuffled) // self._group_size * self._group_size
            ordered = _sorted_in_windows(shuffled[:whole], _WINDOW * self._group_size, self._length)
            parts += [ordered[i : i + self._group_size] for i in range(0, whole, self._group_size)]
            left_over += shuffled[whole:]
        source.shuffle(parts)
        per_batch = self._batch_size // self._group_size
        parts = _sorted_in_windows(parts, _WINDOW * per_batch, lambda part: max(map(self._length, part)))
        full = len(parts) // per_batch * per_batch
        batches = [list(chain(*parts[i : i + per_batch])) for i in range(0, full, per_batch)]
        remaining = [*chain(*parts[full:]), *left_over]
        count = math.ceil(len(remaining) / self._batch_size)
        pieces = [remaining[i * self._batch_size : (i + 1) * self._batch_size] for i in range(count)]
        last = [pieces.pop()] if pieces and len(pieces[-1]) < self._batch_size else []
        batches += pieces
        source.shuffle(batches)
        return iter(index for batch in batches + last for index in batch)

    def _length(self, index: int) -> int:
        return self._lengths[index]


def order_of(
    examples: Sequence[EncodedExample], batch_size: int, group_size: int | None, seed: int
) -> SeededSampler:
    """The order in which a training draws its examples: in groups of that size, unless it is None."""
    if group_size is None:
        return SeededSampler(len(examples), seed)
    groups, lengths = [example.group for example in examples], [len(example.target) for example in examples]
    return GroupedSampler(groups, lengths, batch_size, group_size, seed)


def _sorted_in_windows(items: list[_Item], window: int, key: Callable[[_Item], int]) -> list[_Item]:
    """Sort neighbouring runs of so many items, each for itself."""
    return [
        item
        for start in range(0, len(items), window)
        for item in sorted(items[start : start + window], key=key)
    ]
