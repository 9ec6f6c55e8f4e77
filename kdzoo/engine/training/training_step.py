"""What a plugin is given of a step: the prompts' models and sequences while it is computed, and what it has come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from kdzoo.engine.prompts.conditioned_model import ModelOnPrompts
from kdzoo.errors import RunError
from kdzoo.methods.model_names import STUDENT
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


class ConditionModel(Protocol):
    """Conditions a model of the training on a step's prompts."""

    def __call__(self, name: str, *, privileged: bool, trains: bool) -> ModelOnPrompts: ...


class TrainingStep:
    """Implements `kdzoo.methods.step.Step` over a batch.

    A model beside the student reads the prompts when it is first asked for. ``teacher`` is the name of the one that teaches,
    and whether it is given the privileged prompts; ``others`` are the names of all that there are.
    """

    def __init__(
        self,
        *,
        target: Sequences,
        teacher_target: Sequences | None,
        student: ModelOnPrompts,
        condition: ConditionModel,
        teacher: tuple[str, bool],
        others: Sequence[str],
        tokenizer: PreTrainedTokenizerBase,
        end_ids: tuple[int, ...],
        progress: float,
        generator: StepGenerator,
        examples: Sequence[int],
        prepared: Mapping[str, Tensor] | None,
        state: nn.Module | None,
    ) -> None:
        self.target = target
        self.student = student
        self.tokenizer = tokenizer
        self.end_ids = end_ids
        self.progress = progress
        self.generator = generator
        self.examples = examples
        self._teacher_target = teacher_target
        self._condition = condition
        self._teacher = teacher
        self._conditioned: dict[tuple[str, bool, bool], ModelOnPrompts] = {}
        self.names_beside_the_student = list(others)
        self._training_sequence: Sequences | None = None
        self._prepared = prepared
        self._state = state

    @property
    def teacher(self) -> ModelOnPrompts:
        """The teacher, conditioned on this batch's prompts."""
        name, privileged = self._teacher
        return self._model(name, privileged=privileged, trains=False)

    def model(self, name: str, *, privileged: bool = False) -> ModelOnPrompts:
        """See `kdzoo.methods.step.Step.model`."""
        if name == STUDENT and not privileged:
            return self.student
        return self._model(name, privileged=privileged, trains=name == STUDENT)

    def _model(self, name: str, *, privileged: bool, trains: bool) -> ModelOnPrompts:
        key = (name, privileged, trains)
        if key not in self._conditioned:
            self._conditioned[key] = self._condition(name, privileged=privileged, trains=trains)
        return self._conditioned[key]

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
