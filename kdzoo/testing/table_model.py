"""A training step over the smallest models that behave like language models: random tables.

Written for clarity, with plain loops, and independent of the engine: what a method does on these can be
worked out by hand.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences
from kdzoo.methods.source import Source
from kdzoo.testing.conditioned_table import VOCABULARY, ConditionedTable, TableModel


class TableStep:
    """One training step over table models. Implements `kdzoo.Step`.

    ``targets`` are token ids without the end of sequence, which is added; ``examples`` name the rows, and
    stand for their prompts too. Two steps with the same seed, step and examples draw the same numbers.
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
    ) -> None:
        end: int = tokenizer.eos_token_id
        examples = range(len(targets)) if examples is None else examples
        self.generator = StepGenerator(seed, step, examples)
        self.target = Sequences.of([[*tokens, end] for tokens in targets], Source.GROUND_TRUTH)
        self.student = ConditionedTable(
            student, examples, self.generator, source=Source.STUDENT, end=end, output_limit=output_limit
        )
        self.teacher = ConditionedTable(
            teacher, examples, self.generator, source=Source.TEACHER, end=end, output_limit=output_limit
        )
        self.tokenizer = tokenizer
        self.progress = progress
        self._teacher_target = None
        if teacher_targets is not None:
            self._teacher_target = Sequences.of(
                [[*tokens, end] for tokens in teacher_targets], Source.TEACHER
            )
        self._training_sequence: Sequences | None = None

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


def make_tokenizer(names: Sequence[str] | None = None, **special_tokens: str) -> PreTrainedTokenizerFast:
    """A tokenizer whose vocabulary is ``names`` in their order; by default <unk>, <s>, </s> and letters."""
    if names is None:
        names = ["<unk>", "<s>", "</s>", *"abcdefghijklmnopqrstuvwxyz"][:VOCABULARY]
        special_tokens = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", **special_tokens}
    words = WordLevel({name: token for token, name in enumerate(names)}, special_tokens.get("unk_token"))
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), **special_tokens)


class RandomBatch:
    """Two table models, and random ragged targets; the last one is nothing but the end of sequence."""

    def __init__(self, rows: int = 5, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
        draws = random.Random(seed)
        self.seed = seed
        self.rows = rows
        self.tokenizer = make_tokenizer()
        self.student = TableModel(2 * seed, dtype=dtype, trains=True)
        self.teacher = TableModel(2 * seed + 1, dtype=dtype, trains=False)
        self.examples = draws.sample(range(1000), rows)
        lengths = [draws.randrange(1, 8) for _ in range(rows - 1)] + [0]
        self.targets = [[draws.randrange(3, VOCABULARY) for _ in range(length)] for length in lengths]
        lengths = [draws.randrange(0, 8) for _ in range(rows)]
        self.teacher_targets = [[draws.randrange(3, VOCABULARY) for _ in range(n)] for n in lengths]

    def step(
        self,
        rows: Sequence[int] | None = None,
        *,
        step: int = 0,
        progress: float = 0.0,
        with_teacher_target: bool = True,
    ) -> TableStep:
        """A step over these rows of the batch, in this order; over all of them unless given."""
        rows = range(self.rows) if rows is None else rows
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
        )
