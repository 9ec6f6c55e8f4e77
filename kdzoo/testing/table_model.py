"""A training step over the smallest models that behave like language models: random tables.

Written for clarity, with plain loops, and independent of the engine: what a method does on these can be
worked out by hand.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from kdzoo.methods.earlier_names import earlier_name
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences
from kdzoo.methods.source import Source

VOCABULARY = 12
"""Tokens of the tables' vocabulary: ``make_tokenizer`` names them."""

_STATES = 61
_CHUNK = 3


class TableModel:
    """A language model whose next-token logits stand in a table, in the row that all tokens before hash to.

    ``table`` is float [61, V], with gradients where the model is trained.
    """

    def __init__(
        self, seed: int, *, vocabulary: int = VOCABULARY, dtype: torch.dtype = torch.float32, trains: bool
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        table = 2 * torch.randn(_STATES, vocabulary, generator=generator, dtype=torch.float64)
        self.table = table.to(dtype).requires_grad_(trains)

    def next_logits(self, prompt: int, prefix: Sequence[int]) -> Tensor:
        """Logits [V] of the token that follows ``prefix`` after the prompt of that number."""
        state = prompt
        for token in prefix:
            state = 31 * state + token + 1
        return self.table[state % _STATES]


class ConditionedTable:
    """A table model that has read a batch's prompts (here: numbers). Implements `kdzoo.ConditionedModel`."""

    @earlier_name("kind", "source")
    def __init__(
        self,
        model: TableModel,
        prompts: Sequence[int],
        generator: StepGenerator,
        *,
        source: Source,
        end: int,
        output_limit: int,
    ) -> None:
        self.model = model
        self._prompts = list(prompts)
        self._generator = generator
        self._source = source
        self._end = end
        self._output_limit = output_limit

    def logits(self, sequences: Sequences) -> Tensor:
        """See `kdzoo.ConditionedModel.logits`."""
        rows, width = sequences.tokens.shape
        nothing = torch.zeros_like(self.model.table[0])
        found = []
        for row in range(rows):
            prompt, tokens = self._prompts[row // sequences.per_prompt], sequences.tokens[row].tolist()
            length = int(sequences.lengths[row])
            found += [self.model.next_logits(prompt, tokens[:t]) for t in range(length)]
            found += [nothing] * (width - length)
        return torch.stack(found).reshape(rows, width, -1) if found else nothing.expand(rows, width, -1)

    def per_token(
        self,
        sequences: Sequences,
        function: Callable[..., Tensor],
        inputs: Tensor | None = None,
        where: Tensor | None = None,
    ) -> Tensor:
        """See `kdzoo.ConditionedModel.per_token`."""
        mask = sequences.mask if where is None else sequences.mask & where
        with torch.no_grad():
            logits = self.logits(sequences)[mask]
            given = () if inputs is None else (inputs[mask],)
            parts = []
            for start in range(0, max(1, len(logits)), _CHUNK):
                part = slice(start, start + _CHUNK)
                parts.append(function(logits[part], *(values[part] for values in given)))
            values = torch.cat(parts)
        return values.new_zeros(mask.shape).masked_scatter(mask, values)

    def cross_entropy(self, sequences: Sequences, labels: Sequences | None = None) -> Tensor:
        """See `kdzoo.ConditionedModel.cross_entropy`."""
        ids = (labels or sequences).tokens[sequences.mask]
        log_q = self.logits(sequences)[sequences.mask].log_softmax(-1)
        return -log_q.gather(1, ids[:, None]).sum() / max(1, len(ids))

    def generate(self, *, temperature: float = 1.0, rows: Tensor | None = None) -> Sequences:
        """See `kdzoo.ConditionedModel.generate`."""
        uniform = self._generator.per_row(self._output_limit) if temperature else None
        generated = []
        for row, prompt in enumerate(self._prompts):
            tokens: list[int] = []
            wanted = rows is None or bool(rows[row])
            while wanted and len(tokens) < self._output_limit and self._end not in tokens:
                logits = self.model.next_logits(prompt, tokens).detach().double()
                if uniform is None:
                    tokens.append(int(logits.argmax()))
                    continue
                cumulative = ((logits - logits.max()) / temperature).softmax(-1).cumsum(-1)
                point = float(uniform[row, len(tokens)]) * float(cumulative[-1])
                tokens.append(int((cumulative <= point).sum()))
            generated.append(tokens)
        return Sequences.of(generated, self._source)


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
