"""What the student has generated for each prompt, kept so that it can be trained on again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kdzoo.methods.sequences import Sequences
from kdzoo.methods.source import Source


class ReplayBuffer(nn.Module):
    """Keeps one sequence a prompt, the last that was put, of up to ``capacity`` prompts; those put longest ago go first.

    A method's ``setup`` may give it, or a module that holds it: it is saved with the checkpoints, four bytes a token and
    sixteen a sequence, and goes on from them exactly. Prompts are known by their numbers in the training data
    (``step.examples``). In training on several processes, each keeps the sequences of its own prompts.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        if capacity < 1:
            raise ValueError(f"a replay buffer needs a capacity of at least 1, not {capacity}")
        self.capacity = capacity
        self._rows: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, examples: Sequence[int], sequences: Sequences, where: Tensor | None = None) -> None:
        """Keep the sequences, one a prompt, in the place of those that the prompts have. ``where`` (bool [B]) chooses some.

        Raises:
            ValueError: there is not one sequence for each of the prompts.
        """
        if len(examples) != len(sequences.lengths):
            raise ValueError(
                f"a replay buffer keeps one sequence a prompt, not {len(sequences.lengths)} for {len(examples)} prompts"
            )
        chosen = [True] * len(examples) if where is None else where.tolist()
        tokens, lengths = sequences.tokens.to("cpu", torch.int32), sequences.lengths.tolist()
        for row, example in enumerate(examples):
            if chosen[row]:
                self._rows.pop(example, None)
                self._rows[example] = tokens[row, : lengths[row]].clone()
        while len(self._rows) > self.capacity:
            del self._rows[next(iter(self._rows))]

    def has(self, examples: Sequence[int]) -> Tensor:
        """Bool [B] on the CPU: whether each of the prompts has a sequence here."""
        return torch.tensor([example in self._rows for example in examples], dtype=torch.bool)

    def get(self, examples: Sequence[int]) -> Sequences:
        """The prompts' sequences on the CPU, with `Source.STUDENT`; of length 0 where there is none."""
        return Sequences.of(
            [self._rows[example].tolist() if example in self._rows else [] for example in examples],
            Source.STUDENT,
        )

    def get_extra_state(self) -> dict[str, Tensor]:
        """All prompts' numbers and the sequences' lengths, in the order in which they were put, and their tokens."""
        rows = list(self._rows.values())
        return {
            "examples": torch.tensor(list(self._rows), dtype=torch.int64),
            "lengths": torch.tensor([len(row) for row in rows], dtype=torch.int64),
            "tokens": torch.cat(rows) if rows else torch.empty(0, dtype=torch.int32),
        }

    def set_extra_state(self, state: Any) -> None:
        """Take over what `get_extra_state` gave."""
        rows = state["tokens"].split(state["lengths"].tolist())
        self._rows = {
            example: row.clone() for example, row in zip(state["examples"].tolist(), rows, strict=True)
        }
