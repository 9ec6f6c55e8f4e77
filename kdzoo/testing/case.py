"""A method under check, called as the core calls it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pluggy
import torch
from torch import Tensor, nn

from kdzoo.methods.method import Options
from kdzoo.methods.model_names import TEACHER
from kdzoo.methods.registry import Plugin, implements
from kdzoo.methods.sequences import ScoredTokens, Sequences
from kdzoo.methods.step import ModelShape, SetupContext, StepLosses
from kdzoo.testing.conditioned_table import LAYERS, VOCABULARY
from kdzoo.testing.global_generators import global_generators_kept
from kdzoo.testing.other_logits import TableLogits
from kdzoo.testing.table_model import RandomBatch, TableStep, TakenTableStep

SEEDS = range(3)
_PROGRESS = (0.0, 0.5, 1.0)
# Numbers of steps that no check takes otherwise.
_BEFORE_TRAINING, _EARLIER = -1, 1_000_000


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

    def steps(self, *, adapted: bool = True) -> list[TableStep]:
        """Steps of several batches, at several points of the training, the first of it if not ``adapted``."""
        return [
            self.step(RandomBatch(seed=seed), adapted=adapted, step=seed, progress=_PROGRESS[seed % 3])
            for seed in SEEDS
        ]

    def step(
        self, batch: RandomBatch, rows: list[int] | None = None, *, adapted: bool = True, **settings: Any
    ) -> TableStep:
        """A step that gives what the options and the hooks ask for and no more."""
        step = self.bare_step(batch, rows, **settings)
        step.state = self.adapted_state(batch) if adapted else self.state(batch)
        if self.implements("prepare"):
            step.prepared = self.prepare(batch, rows)
        return step

    def bare_step(self, batch: RandomBatch, rows: list[int] | None = None, **settings: Any) -> TableStep:
        """A step before the method has been set up or has prepared anything."""
        needs_teacher = self.options.needs_teacher_target
        return batch.step(rows, with_teacher_target=needs_teacher, options=self.options, **settings)

    def state(self, batch: RandomBatch) -> Any:
        """What ``setup`` gives, for models of the batch's type."""
        shape = ModelShape(hidden_size=VOCABULARY, vocabulary=VOCABULARY, layers=LAYERS)
        has_teacher = self.plugin.method.uses_teacher or self.options.teacher_model != TEACHER
        with global_generators_kept():
            state = self.hooks.setup(
                context=SetupContext(
                    shape,
                    shape if has_teacher else None,
                    batch.tokenizer,
                    steps=4,
                    others=dict.fromkeys(self.options.teacher_names, shape),
                ),
                options=self.options,
            )
        return state.to(batch.student.table.dtype) if isinstance(state, nn.Module) else state

    def adapted_state(self, batch: RandomBatch) -> Any:
        """The same after a step over the whole batch, if the method adapts it."""
        state = self.state(batch)
        if self.implements("after_step"):
            step = self.bare_step(batch, step=_EARLIER)
            step.state = state
            if self.implements("prepare"):
                step.prepared = self.prepare(batch)
            self.make(step)
            losses = StepLosses(total=1.5, divergence=1.0, auxiliary=0.5)
            with torch.no_grad():
                self.hooks.after_step(
                    step=TakenTableStep.of(step, state), losses=losses, options=self.options
                )
        return state

    def prepare(self, batch: RandomBatch, rows: list[int] | None = None) -> Any:
        """What ``prepare`` gives for these rows."""
        step = self.bare_step(batch, rows, step=_BEFORE_TRAINING)
        step.state = self.state(batch)
        with torch.no_grad():
            return self.hooks.prepare(step=step, options=self.options)

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
            student_logits=student,
            teacher_logits=teacher,
            other_logits=TableLogits(step, tokens, teacher),
            tokens=tokens,
            step=step,
            options=self.options,
        )

    def aux_loss(self, step: TableStep) -> Any:
        """Make the step's training sequences, and call the auxiliary loss as the core does."""
        self.make(step)
        return self.hooks.aux_loss(step=step, options=self.options)
