"""The models of a training by the names that a method knows them by, and how each is run on a batch's prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from kdzoo.engine.models.average import AveragedWeights
from kdzoo.engine.models.without_adapter import WithoutAdapter
from kdzoo.engine.prompts.batches import Batch
from kdzoo.engine.prompts.conditioned_model import ModelOnPrompts, condition
from kdzoo.engine.prompts.forward_within import Block
from kdzoo.engine.prompts.probe.choice import choose_way
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import PrefixCached, Sharing, Way, in_step
from kdzoo.errors import RunError
from kdzoo.methods.model_names import AVERAGE, BASE, OF_THE_STUDENT, STUDENT, no_such_model
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Source

Model: TypeAlias = PreTrainedModel | PeftModel


class ModelsByName:
    """The student, what it is without its adapter and on average, and the teachers.

    ``prompt`` and ``privileged`` are the tokens of the longest prompt of each kind: how a model is run on prompts is found
    out on ones as long as these, when it is first given them.
    """

    def __init__(
        self,
        student: Model,
        teachers: Mapping[str, Model],
        average: AveragedWeights | None,
        limits: SamplingLimits,
        *,
        sharing: Sharing,
        prompt: int,
        privileged: int,
    ) -> None:
        self._student = student
        self._teachers = dict(teachers)
        self._limits = limits
        self._sharing = sharing
        self._longest = {False: prompt, True: privileged}
        self._blocks: dict[str, Block] = {}
        if isinstance(student, PeftModel):
            self._blocks[BASE] = WithoutAdapter(student).block
        if average is not None:
            self._blocks[AVERAGE] = average.block
        self._ways: dict[tuple[str, bool, bool], Way] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.beside_the_student or name == STUDENT

    @property
    def teachers(self) -> list[Model]:
        """The models that are not the student's."""
        return list(self._teachers.values())

    @property
    def beside_the_student(self) -> list[str]:
        """The names of all models but the student."""
        return [*self._teachers, *self._blocks]

    def underlying(self, name: str) -> Model:
        """The model that is run under a name.

        Raises:
            RunError: there is none of that name.
        """
        if name not in self:
            raise no_such_model(name, [STUDENT, *self.beside_the_student])
        return self._student if name in OF_THE_STUDENT else self._teachers[name]

    def find_way(self, name: str, *, privileged: bool, trains: bool = False) -> Way:
        """The way in which a model is run; ``trains`` says whether with gradients too."""
        model = self.underlying(name)
        role = STUDENT if name in OF_THE_STUDENT else name
        # what is right with gradients is right without
        trains = role == STUDENT and (trains or not privileged)
        key = (role, privileged, trains)
        if key not in self._ways:
            # it may be asked for within a step, where other precision holds
            with torch.autocast(next(model.parameters()).device.type, enabled=False):
                self._ways[key] = choose_way(
                    model,
                    role,
                    prompt=self._longest[privileged],
                    output=self._limits.output,
                    sharing=self._sharing,
                    trains=trains,
                )
        return self._ways[key]

    def run_in_step(self) -> None:
        """From now on each model is run as often as in the other processes, whatever the batch.

        Raises:
            RunError: a model cannot be.
        """
        for key, way in self._ways.items():
            changed = in_step(way)
            if changed is None:
                raise RunError(f"the {key[0]} must be run row by row, and cannot be sharded")
            self._ways[key] = changed

    @property
    def read_once(self) -> bool:
        """Whether any model that has been given prompts reads each of them once, so that beginnings can be shared."""
        return any(isinstance(way, PrefixCached) for way in self._ways.values())

    def condition(
        self,
        name: str,
        batch: Batch,
        generator: StepGenerator,
        *,
        privileged: bool,
        trains: bool,
        source: Source | None = None,
    ) -> ModelOnPrompts:
        """Condition a model on a batch's prompts; only the student may be run with gradients (``trains``).

        ``source`` is that of what it generates: unless given, the student's if it trains, else a teacher's.

        Raises:
            RunError: there is none of that name, or the batch has no privileged prompts.
        """
        model = self.underlying(name)
        if privileged:
            batch = batch.after_privileged_prompts()
        return condition(
            model,
            batch,
            self._limits,
            generator,
            source=source or (Source.STUDENT if trains else Source.TEACHER),
            way=self.find_way(name, privileged=privileged, trains=trains),
            trains=trains,
            block=self._blocks.get(name),
        )
