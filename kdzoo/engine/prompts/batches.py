"""Encoded examples, the order in which they are drawn, and the batches made of them."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeVar

import torch
from torch.utils.data import Dataset, Sampler

from kdzoo.engine.prompts.prefix_groups import PrefixGroups, group_prefixes, order_by_prefix
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Kind, Sequences

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class EncodedExample:
    """Token ids of one prompt and its target; ``group`` names what its prompt's beginning belongs to."""

    index: int
    prompt: list[int]
    target: list[int]
    group: str | None = None
    teacher_target: list[int] | None = None


class EncodedExamples(Dataset[EncodedExample]):
    """A list of encoded examples."""

    def __init__(self, examples: Sequence[EncodedExample]) -> None:
        self.examples = list(examples)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> EncodedExample:
        return self.examples[index]


@dataclass(frozen=True, eq=False)
class Batch:
    """Prompts and their targets, as the engine takes them. ``examples`` are the rows' numbers in the dataset.

    Where ``training_sequence`` has been made ahead of the step, ``generator`` is the source that it was made with,
    which the rest of the step goes on drawing from.
    """

    prompts: list[list[int]]
    layout: PrefixGroups
    target: Sequences
    examples: list[int]
    teacher_target: Sequences | None = None
    training_sequence: Sequences | None = None
    generator: StepGenerator | None = None

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The same batch on another device."""
        return replace(
            self,
            layout=self.layout.to(device, non_blocking=non_blocking),
            target=self.target.to(device),
            teacher_target=None if self.teacher_target is None else self.teacher_target.to(device),
            training_sequence=None if self.training_sequence is None else self.training_sequence.to(device),
        )


def make_batch(examples: Sequence[EncodedExample], *, share_beginnings: bool) -> Batch:
    """Put examples together. Rows that begin alike become neighbours where beginnings are shared."""
    rows = list(examples)
    if share_beginnings:
        rows = [rows[i] for i in order_by_prefix([row.prompt for row in rows])]
    teacher_rows = [row.teacher_target for row in rows]
    teacher_target = None
    if all(row is not None for row in teacher_rows):
        teacher_target = Sequences.of([row for row in teacher_rows if row is not None], Kind.TEACHER)
    prompts = [row.prompt for row in rows]
    return Batch(
        prompts,
        group_prefixes(prompts, share_beginnings=share_beginnings),
        Sequences.of([row.target for row in rows], Kind.GROUND_TRUTH),
        [row.index for row in rows],
        teacher_target,
    )


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


def _sorted_in_windows(items: list[_Item], window: int, key: Callable[[_Item], int]) -> list[_Item]:
    """Sort neighbouring runs of so many items, each for itself."""
    return [
        item
        for start in range(0, len(items), window)
        for item in sorted(items[start : start + window], key=key)
    ]
