"""A model that is in another state whenever it is run: without its adapter, or with other weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor

from kdzoo.engine.losses.scored_hidden_states import ScoredHiddenStates
from kdzoo.engine.prompts.generation import Stepper
from kdzoo.methods.sequences import Sequences

if TYPE_CHECKING:
    from kdzoo.engine.prompts.conditioned_model import Forward

Block = Callable[[], AbstractContextManager[None]]
"""Puts a model into its other state for the length of a block."""


@dataclass(frozen=True, eq=False)
class ForwardWithin:
    """Runs a model within blocks, its projection too. Implements `kdzoo.engine.prompts.conditioned_model.Forward`."""

    forward: Forward
    block: Block

    def run(self, sequences: Sequences, layers: Sequence[int] = ()) -> ScoredHiddenStates:
        """See `kdzoo.engine.prompts.conditioned_model.Forward.run`."""
        return self.run_together((sequences,), layers)[0]

    def run_together(
        self, several: Sequence[Sequences], layers: Sequence[int] = ()
    ) -> list[ScoredHiddenStates]:
        """See `kdzoo.engine.prompts.conditioned_model.Forward.run_together`."""
        with self.block():
            return [self._projecting(states) for states in self.forward.run_together(several, layers)]

    def read_prompts(self) -> None:
        """See `kdzoo.engine.prompts.conditioned_model.Forward.read_prompts`."""
        with self.block():
            self.forward.read_prompts()

    @property
    def rows_at_once(self) -> int | None:
        """See `kdzoo.engine.prompts.generation.Steppable.rows_at_once`."""
        return self.forward.rows_at_once

    def start(self, rows: Tensor, beginning: Tensor) -> Stepper:
        """See `kdzoo.engine.prompts.generation.Steppable.start`."""
        with self.block():
            return _StepperWithin(self.forward.start(rows, beginning), self.block)

    def _projecting(self, states: ScoredHiddenStates) -> ScoredHiddenStates:
        def project(rows: Tensor) -> Tensor:
            with self.block():
                return states.project(rows)

        # the weight is the one that the projection has in its usual state
        return replace(states, project=project, weight=None)


@dataclass(frozen=True, eq=False)
class _StepperWithin:
    """Implements `kdzoo.engine.prompts.generation.Stepper`."""

    stepper: Stepper
    block: Block

    def next_logits(self) -> Tensor:
        with self.block():
            return self.stepper.next_logits()

    def append(self, tokens: Tensor) -> None:
        self.stepper.append(tokens)

    def keep(self, rows: Tensor) -> None:
        self.stepper.keep(rows)
