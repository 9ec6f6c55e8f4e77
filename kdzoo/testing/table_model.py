"""A training step over the smallest models that behave like language models: random tables.

Written for clarity, with plain loops, and independent of the engine: what a method does on these can be
worked out by hand.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from kdzoo.methods.method import Options
from kdzoo.methods.model_names import AVERAGE, BASE, STUDENT, TEACHER, no_such_model, teachers_to_load
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences
from kdzoo.methods.source import Source
from kdzoo.testing.conditioned_table import VOCABULARY, ConditionedTable, TableModel


class TableStep:
    """One training step over table models. Implements `kdzoo.Step`.

    ``targets`` are token ids without the end of sequence, which is added; ``examples`` name the rows, and
    stand for their prompts too. Two steps with the same seed, step and examples draw the same numbers. ``prepared`` and
    ``state`` are what the method's ``prepare`` and ``setup`` gave.

    ``others`` are further models by the names that `model` knows them by, "base" and "average" among them. ``teacher_is``
    says which model teaches, and whether it reads privileged prompts; with ``has_privileged_prompts`` all can.
    """

    def __init__(
        self,
        targets: Sequence[Sequence[int]],
        *,
        student: TableModel,
        teacher: TableModel,
        tokenizer: PreTrainedTokenizerFast,
        teacher_targets: Sequence[Sequence[int]] | None = None,
        examples: Sequence[int] | None = None,
        progress: float = 0.0,
        seed: int = 0,
        step: int = 0,
        output_limit: int = 8,
        prepared: Mapping[str, Tensor] | None = None,
        state: nn.Module | None = None,
        others: Mapping[str, TableModel] | None = None,
        teacher_is: tuple[str, bool] = (TEACHER, False),
        has_privileged_prompts: bool = False,
    ) -> None:
        end: int = tokenizer.eos_token_id
        examples = range(len(targets)) if examples is None else examples
        self.examples = list(examples)
        self.generator = StepGenerator(seed, step, examples)
        self.target = Sequences.of([[*tokens, end] for tokens in targets], Source.GROUND_TRUTH)
        self._models = {STUDENT: student, TEACHER: teacher, **(others or {})}
        # a prompt is a number, and so is one that has the target in it
        with_target = [
            privileged_prompt(number, tokens) for number, tokens in zip(examples, targets, strict=True)
        ]
        self._prompts = {False: list(examples), True: with_target if has_privileged_prompts else None}
        self._end, self._output_limit = end, output_limit
        self._conditioned: dict[tuple[str, bool], ConditionedTable] = {}
        self.student = self._condition(student, Source.STUDENT, privileged=False)
        self._teacher_is = teacher_is
        self._teacher: ConditionedTable | None = None
        self.tokenizer = tokenizer
        self.end_ids = (end,)
        self.progress = progress
        self._teacher_target = None
        if teacher_targets is not None:
            self._teacher_target = Sequences.of(
                [[*tokens, end] for tokens in teacher_targets], Source.TEACHER
            )
        self._training_sequence: Sequences | None = None
        self._prepared = prepared
        self._state = state

    @property
    def teacher(self) -> ConditionedTable:
        """The model that teaches."""
        name, privileged = self._teacher_is
        if name != STUDENT:
            return self.model(name, privileged=privileged)
        if self._teacher is None:
            self._teacher = self._condition(
                self._models[STUDENT].frozen(), Source.TEACHER, privileged=privileged
            )
        return self._teacher

    @property
    def names_beside_the_student(self) -> list[str]:
        """The names of all models but the student."""
        return [name for name in self._models if name != STUDENT]

    def model(self, name: str, *, privileged: bool = False) -> ConditionedTable:
        """See `kdzoo.Step.model`."""
        if name not in self._models:
            raise no_such_model(name, list(self._models))
        if name == STUDENT and not privileged:
            return self.student
        if (name, privileged) not in self._conditioned:
            source = Source.STUDENT if name == STUDENT else Source.TEACHER
            found = self._condition(self._models[name], source, privileged=privileged)
            self._conditioned[name, privileged] = found
        return self._conditioned[name, privileged]

    def _condition(self, model: TableModel, source: Source, *, privileged: bool) -> ConditionedTable:
        prompts = self._prompts[privileged]
        assert prompts is not None, "privileged prompts need Options.privileged_prompt to be a text"
        return ConditionedTable(
            model,
            prompts,
            self.generator,
            source=source,
            end=self._end,
            output_limit=self._output_limit,
        )

    @property
    def prepared(self) -> Mapping[str, Tensor]:
        """What the method's ``prepare`` gave for these prompts."""
        assert self._prepared is not None, "step.prepared needs a hook prepare, and is not there within it"
        return self._prepared

    @prepared.setter
    def prepared(self, prepared: Mapping[str, Tensor]) -> None:
        self._prepared = prepared

    @property
    def state(self) -> nn.Module:
        """What the method's ``setup`` gave."""
        assert self._state is not None, "step.state needs a hook setup that gives a module"
        return self._state

    @state.setter
    def state(self, state: nn.Module | None) -> None:
        self._state = state

    @property
    def teacher_target(self) -> Sequences:
        """What the teacher generated before training."""
        assert self._teacher_target is not None, (
            "step.teacher_target needs Options.needs_teacher_target to be True"
        )
        return self._teacher_target

    @property
    def training_sequence(self) -> Sequences:
        """What ``make_training_sequence`` gave."""
        assert self._training_sequence is not None, "step.training_sequence is not there before it is made"
        return self._training_sequence

    @training_sequence.setter
    def training_sequence(self, sequences: Sequences) -> None:
        self._training_sequence = sequences


@dataclass(frozen=True, eq=False)
class TakenTableStep:
    """An optimizer step that has been taken over table models. Implements `kdzoo.FinishedStep`."""

    training_sequence: Sequences
    examples: Sequence[int]
    state: nn.Module | None
    progress: float
    generator: StepGenerator

    @staticmethod
    def of(step: TableStep, state: nn.Module | None) -> TakenTableStep:
        """The step whose training sequences have been made, its rows in the order of their numbers."""
        order = sorted(range(len(step.examples)), key=step.examples.__getitem__)
        examples = [step.examples[row] for row in order]
        return TakenTableStep(
            step.training_sequence.of_prompts(torch.tensor(order)).detach(),
            examples,
            state,
            step.progress,
            StepGenerator(1, 0, examples),
        )


def privileged_prompt(number: int, target: Sequence[int]) -> int:
    """The number that stands for the privileged prompt of an example with that number and that target."""
    state = number + 1009
    for token in target:
        state = 37 * state + token
    return state


def make_tokenizer(names: Sequence[str] | None = None, **special_tokens: str) -> PreTrainedTokenizerFast:
    """A tokenizer whose vocabulary is ``names`` in their order; by default <unk>, <s>, </s> and letters."""
    if names is None:
        names = ["<unk>", "<s>", "</s>", *"abcdefghijklmnopqrstuvwxyz"][:VOCABULARY]
        special_tokens = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", **special_tokens}
    words = WordLevel({name: token for token, name in enumerate(names)}, special_tokens.get("unk_token"))
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), **special_tokens)


class RandomBatch:
    """Two table models, and random ragged targets; the last one is nothing but the end of sequence.

    ``base`` and ``average`` are what the student may be known as too, ``other(name)`` is a further teacher of that name.
    """

    def __init__(self, rows: int = 5, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
        draws = random.Random(seed)
        self.seed = seed
        self.rows = rows
        self.tokenizer = make_tokenizer()
        self._dtype = dtype
        self.student = TableModel(2 * seed, dtype=dtype, trains=True)
        self.teacher = TableModel(2 * seed + 1, dtype=dtype, trains=False)
        self.examples = draws.sample(range(1000), rows)
        lengths = [draws.randrange(1, 8) for _ in range(rows - 1)] + [0]
        self.targets = [[draws.randrange(3, VOCABULARY) for _ in range(length)] for length in lengths]
        lengths = [draws.randrange(0, 8) for _ in range(rows)]
        self.teacher_targets = [[draws.randrange(3, VOCABULARY) for _ in range(n)] for n in lengths]

    def other(self, name: str) -> TableModel:
        """The model of that name, beside student and teacher."""
        return TableModel(zlib.crc32(name.encode()) + self.seed, dtype=self._dtype, trains=False)

    def step(
        self,
        rows: Sequence[int] | None = None,
        *,
        step: int = 0,
        progress: float = 0.0,
        with_teacher_target: bool = True,
        options: Options | None = None,
    ) -> TableStep:
        """A step over these rows of the batch, in this order; over all of them unless given.

        It has the models and prompts that the ``options`` ask for.
        """
        rows = range(self.rows) if rows is None else rows
        options = options or Options()
        names = [BASE, *([] if options.average_decay is None else [AVERAGE])]
        names += [*teachers_to_load(options, uses_teacher=False)]
        return TableStep(
            [self.targets[row] for row in rows],
            student=self.student,
            teacher=self.teacher,
            tokenizer=self.tokenizer,
            teacher_targets=[self.teacher_targets[row] for row in rows] if with_teacher_target else None,
            examples=[self.examples[row] for row in rows],
            progress=progress,
            seed=self.seed,
            step=step,
            others={name: self.other(name) for name in names if name != TEACHER},
            teacher_is=(options.teacher_model, options.teacher_is_privileged),
            has_privileged_prompts=options.privileged_prompt is not None,
        )
