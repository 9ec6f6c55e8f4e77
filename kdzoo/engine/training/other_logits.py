"""The logits of further models on the tokens that a divergence is given, for those that it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from kdzoo.engine.losses.scored_hidden_states import ScoredHiddenStates
from kdzoo.engine.training.training_step import TrainingStep
from kdzoo.methods.model_names import no_such_model


class OtherModels:
    """The models of a step but the student, run over its training sequence when their logits are first read."""

    def __init__(self, step: TrainingStep, vocabulary: int) -> None:
        self.names = step.names_beside_the_student
        self._step = step
        self._vocabulary = vocabulary
        self._states: dict[str, ScoredHiddenStates] = {}

    def on(self, part: slice) -> OtherLogits:
        """Their logits on some of the scored tokens."""
        return OtherLogits(self, part)

    @torch.no_grad()
    def logits(self, name: str, part: slice) -> Tensor:
        """Float [n, V] of a model, in eval mode.

        Raises:
            RunError: there is no other model of that name.
        """
        if name not in self.names:
            raise no_such_model(name, self.names)
        model = self._step.model(name)
        if name not in self._states:
            self._states[name] = model.eval_states(self._step.training_sequence)
        return model.eval_logits(self._states[name], part)[:, : self._vocabulary]


class OtherLogits(Mapping[str, Tensor]):
    """Logits [n, V] of n tokens by the models' names. They are computed when they are read, and not kept longer than this."""

    def __init__(self, models: OtherModels, part: slice) -> None:
        self._models = models
        self._part = part
        self._read: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._read:
            self._read[name] = self._models.logits(name, self._part)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models.names)

    def __len__(self) -> int:
        return len(self._models.names)
