"""What a plugin is given of a step: the prompts' models and sequences while it is computed, and what it has come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from kdzoo.engine.prompts.conditioned_model import ModelOnPrompts
from kdzoo.errors import RunError
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences


@dataclass(frozen=True)
class Moment:
    """Where a training stands when a step is taken: ``step`` optimizer steps are done; ``progress`` from 0 to 1.

    ``is_logged`` says that a line is logged after this step, so that more than its loss is to be seen of it.
    """

    step: int
    progress: float
    is_logged: bool = False


class TrainingStep:
    """Implements `kdzoo.methods.step.Step` over a batch. The teacher is read when it is first asked for."""

    def __init__(
        self,
        *,
        target: Sequences,
        teacher_target: Sequences | None,
        student: ModelOnPrompts,
        teacher: Callable[[], ModelOnPrompts],
        tokenizer: PreTrainedTokenizerBase,
        progress: float,
        generator: StepGenerator,
        examples: Sequence[int],
        prepared: Mapping[str, Tensor] | None,
        state: nn.Module | None,
    ) -> None:
        self.target = target
        self.student = student
        self.tokenizer = tokenizer
        self.progress = progress
        self.generator = generator
        self.examples = examples
        self._teacher_target = teacher_target
        self._make_teacher = teacher
        self._teacher: ModelOnPrompts | None = None
        self._training_sequence: Sequences | None = None
        self._prepared = prepared
        self._state = state

    @property
    def teacher(self) -> ModelOnPrompts:
        """The teacher, conditioned on this batch's prompts."""
        if self._teacher is None:
            self._teacher = self._make_teacher()
        return self._teacher

    @property
    def teacher_target(self) -> Sequences:
        """What the teacher generated for these prompts before training."""
        if self._teacher_target is None:
            raise RunError(
                "the method uses step.teacher_target, but its options do not say so: "
                "Options.needs_teacher_target must be True"
            )
        return self._teacher_target

    @property
    def training_sequence(self) -> Sequences:
        """The sequences that teacher and student are scored on."""
        if self._training_sequence is None:
            raise RunError("step.training_sequence is used before make_training_sequence has returned")
        return self._training_sequence

    @training_sequence.setter
    def training_sequence(self, sequences: Sequences) -> None:
        self._training_sequence = sequences

    @property
    def prepared(self) -> Mapping[str, Tensor]:
        """What the method's ``prepare`` gave for these prompts."""
        if self._prepared is None:
            raise RunError("the method uses step.prepared, but has no hook prepare, or is still in it")
        return self._prepared

    @property
    def state(self) -> nn.Module:
        """What the method's ``setup`` gave."""
        return _given(self._state)

    @property
    def trained_parameters(self) -> list[Tensor]:
        """The parameters of the method's own that are trained."""
        return [] if self._state is None else [p for p in self._state.parameters() if p.requires_grad]


@dataclass(frozen=True, eq=False)
class TakenStep:
    """Implements `kdzoo.methods.step.FinishedStep`."""

    training_sequence: Sequences
    examples: Sequence[int]
    progress: float
    generator: StepGenerator
    kept: nn.Module | None

    @property
    def state(self) -> nn.Module:
        """What the method's ``setup`` gave."""
        return _given(self.kept)


def in_their_order(parts: Sequence[tuple[Sequence[int], Sequences]]) -> tuple[list[int], Sequences]:
    """Put the sequences of a step's parts together in the order of their prompts' numbers.

    ``parts`` are numbers and the sequences of as many prompts, as many of each prompt in all parts.
    """
    whole = parts[0][1]
    for _, sequences in parts[1:]:
        whole = whole.followed_by(sequences)
    numbers = [number for examples, _ in parts for number in examples]
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    return [numbers[place] for place in order], whole.of_prompts(torch.tensor(order))


def _given(state: nn.Module | None) -> nn.Module:
    if state is None:
        raise RunError("the method uses step.state, but it has no hook setup, or that gave None")
    return state
