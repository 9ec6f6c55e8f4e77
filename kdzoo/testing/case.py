"""A method under check, called as the core calls it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pluggy
import torch
from torch import Tensor

from kdzoo.methods.method import Options
from kdzoo.methods.registry import Plugin, implements
from kdzoo.methods.sequences import ScoredTokens, Sequences
from kdzoo.testing.table_model import RandomBatch, TableStep

SEEDS = range(3)
_PROGRESS = (0.0, 0.5, 1.0)


@dataclass(frozen=True)
class Case:
    """The method under check with one set of options."""

    plugin: Plugin
    hooks: pluggy.HookRelay
    options: Options

    @property
    def name(self) -> str:
        return self.plugin.method.name

    def implements(self, hook: str) -> bool:
        """Whether the method has an implementation of its own of that hook."""
        return implements(self.plugin, hook)

    def steps(self) -> list[TableStep]:
        """Steps of several batches, at several points of the training."""
        return [self.step(RandomBatch(seed=seed), step=seed, progress=_PROGRESS[seed % 3]) for seed in SEEDS]

    def step(self, batch: RandomBatch, rows: list[int] | None = None, **settings: Any) -> TableStep:
        """A step that gives what the options ask for and no more."""
        return batch.step(rows, with_teacher_target=self.options.needs_teacher_target, **settings)

    def make(self, step: TableStep) -> Sequences:
        """Make the step's training sequences as the core does."""
        with torch.no_grad():
            sequences = self.hooks.make_training_sequence(step=step, options=self.options)
        assert isinstance(sequences, Sequences), (
            f"{self.name}: make_training_sequence gave {type(sequences).__name__}, not kdzoo.Sequences"
        )
        step.training_sequence = sequences
        return sequences

    def scored(self, sequences: Sequences) -> ScoredTokens:
        """The tokens of a step's training sequences, counted by source where the core does so."""
        unknown = self.implements("make_training_sequence") and self.options.keeps_target_lengths
        return replace(sequences.scored, source_counts=None) if unknown else sequences.scored

    def divergence(self, step: TableStep, student: Tensor, teacher: Tensor, tokens: ScoredTokens) -> Any:
        """Call the divergence as the core does; what it gives is not looked at."""
        return self.hooks.divergence(
            student_logits=student, teacher_logits=teacher, tokens=tokens, step=step, options=self.options
        )

    def aux_loss(self, step: TableStep) -> Any:
        """Make the step's training sequences, and call the auxiliary loss as the core does."""
        self.make(step)
        return self.hooks.aux_loss(step=step, options=self.options)
