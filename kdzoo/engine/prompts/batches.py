"""Encoded examples, and the batches made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.utils.data import Dataset

from kdzoo.engine.prompts.prefix_groups import PrefixGroups, group_prefixes, order_by_prefix
from kdzoo.engine.prompts.prepared import put_together
from kdzoo.errors import RunError
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences, Source


@dataclass(frozen=True)
class EncodedExample:
    """Token ids of one prompt and its target; ``group`` names what its prompt's beginning belongs to.

    ``privileged`` is its second prompt, if a method has one. ``teacher_target`` and ``prepared`` are what was made of it
    before training, if anything was.
    """

    index: int
    prompt: list[int]
    target: list[int]
    group: str | None = None
    teacher_target: list[int] | None = None
    prepared: Mapping[str, Tensor] | None = field(default=None, compare=False)
    privileged: list[int] | None = None


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

    ``privileged`` are the rows' second prompts and their groups, if there are any. A batch that ``fills`` is run where a process
    has nothing to do while others have, and counts nothing. Where ``training_sequence`` has been made ahead of the step, ``generator`` is the source that it was made with,
    which the rest of the step goes on drawing from.
    """

    prompts: list[list[int]]
    prefix_groups: PrefixGroups
    target: Sequences
    examples: list[int]
    teacher_target: Sequences | None = None
    training_sequence: Sequences | None = None
    generator: StepGenerator | None = None
    prepared: Mapping[str, Tensor] | None = None
    privileged: tuple[list[list[int]], PrefixGroups] | None = None
    fills: bool = False

    def after_privileged_prompts(self) -> Batch:
        """The same rows with their privileged prompts in place of their own.

        Raises:
            RunError: there are none.
        """
        if self.privileged is None:
            raise RunError(
                "the method uses privileged prompts, but its options do not say so: Options.privileged_prompt must be "
                "the text that they are made from"
            )
        prompts, groups = self.privileged
        return replace(self, prompts=prompts, prefix_groups=groups)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The same batch on another device."""
        return replace(
            self,
            prefix_groups=self.prefix_groups.to(device, non_blocking=non_blocking),
            target=self.target.to(device),
            teacher_target=None if self.teacher_target is None else self.teacher_target.to(device),
            training_sequence=None if self.training_sequence is None else self.training_sequence.to(device),
            prepared=None
            if self.prepared is None
            else {name: value.to(device) for name, value in self.prepared.items()},
            privileged=None
            if self.privileged is None
            else (self.privileged[0], self.privileged[1].to(device, non_blocking=non_blocking)),
        )


def make_batch(examples: Sequence[EncodedExample], *, share_beginnings: bool) -> Batch:
    """Put examples together. Rows that begin alike become neighbours where beginnings are shared."""
    rows = list(examples)
    if share_beginnings:
        rows = [rows[i] for i in order_by_prefix([row.prompt for row in rows])]
    teacher_rows = [row.teacher_target for row in rows]
    teacher_target = None
    if all(row is not None for row in teacher_rows):
        teacher_target = Sequences.of([row for row in teacher_rows if row is not None], Source.TEACHER)
    prompts = [row.prompt for row in rows]
    prepared = [row.prepared for row in rows if row.prepared is not None]
    second = [row.privileged for row in rows if row.privileged is not None]
    privileged = None
    if len(second) == len(rows):
        privileged = (second, group_prefixes(second, share_beginnings=share_beginnings))
    return Batch(
        prompts,
        group_prefixes(prompts, share_beginnings=share_beginnings),
        Sequences.of([row.target for row in rows], Source.GROUND_TRUTH),
        [row.index for row in rows],
        teacher_target,
        prepared=put_together(prepared) if len(prepared) == len(rows) else None,
        privileged=privileged,
    )
