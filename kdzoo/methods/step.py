"""What a plugin is given: the models before training, one training step over a batch of prompts, and what it has come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from kdzoo.methods.randomness import StepGenerator
    from kdzoo.methods.sequences import Sequences


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a model: of its hidden states, its vocabulary, and the number of its decoder layers."""

    hidden_size: int
    vocabulary: int
    layers: int


@dataclass(frozen=True)
class SetupContext:
    """What ``setup`` is told of a training: its models (the teacher's shape is None without one), tokenizer and optimizer steps.

    ``others`` are the shapes of the further teachers by their names.
    """

    student: ModelShape
    teacher: ModelShape | None
    tokenizer: PreTrainedTokenizerBase
    steps: int
    others: Mapping[str, ModelShape] = field(default_factory=dict)


class ConditionedModel(Protocol):
    """A model that has read this batch's prompts; every call continues from there.

    V is the size of the vocabulary that teacher and student share: padding beyond it is cut off, and never sampled.
    """

    def logits(self, sequences: Sequences) -> Tensor:
        """Float [R, T, V]: position t predicts token t of the sequence. Follows the caller's grad mode.

        Memory grows with R * T * V: prefer `per_token` where a few numbers per token are enough.
        """
        ...

    def per_token(
        self,
        sequences: Sequences,
        function: Callable[..., Tensor],
        inputs: Tensor | None = None,
        where: Tensor | None = None,
    ) -> Tensor:
        """Apply ``function`` (logits [n, V] -> values [n, ...]) to every token's logits, a chunk at a time.

        Without gradients and in eval mode (no dropout). Gives [R, T, ...]; 0 in the padding. Where ``inputs`` [R,
        T, ...] are given, the function takes the tokens' own inputs [n, ...] as its second argument. ``where`` (bool
        [R, T]) leaves out the other tokens, which saves their projection onto the vocabulary; they get 0.
        """
        ...

    def log_probs(self, sequences: Sequences, labels: Sequences | None = None) -> Tensor:
        """Float32 [R, T]: log q(label | prompt, sequence before it) in nats; 0 in the padding. Follows grad mode.

        q is a distribution over the V shared tokens, as `generate` samples from. ``labels`` are the sequences
        themselves unless given. Memory does not grow with R * T * V, also with gradients.

        Raises:
            RunError: ``labels`` have other lengths than the sequences.
        """
        ...

    def cross_entropy(self, sequences: Sequences, labels: Sequences | None = None) -> Tensor:
        """Mean over the tokens of -log q(label | prompt, sequence before it), nats; follows grad mode.

        ``labels`` are the sequences themselves unless given. q is over the model's whole vocabulary, padding included.

        Raises:
            RunError: ``labels`` have other lengths than the sequences.
        """
        ...

    def hidden(self, sequences: Sequences, layers: Sequence[int]) -> list[Tensor]:
        """For each of the layers, float [R, T, H]: the hidden states that predict token t; 0 in the padding.

        Layers are counted as in transformers' ``output_hidden_states``: 0 is what goes into the first layer (the
        embeddings, with all that is added to them), n what comes out of the n-th, and the last (also -1) stands after
        the final norm: the projection makes the logits of it. The few architectures that transformers itself counts
        otherwise (Mamba has no 0) are counted as there. H is the layer's size, the type that of the model.

        Follows grad mode, and with it the model's mode. The run is the one that the other losses on the same sequences need
        if `Options.hidden_layers` (of the teacher `Options.teacher_hidden_layers`) name these layers; otherwise the
        model is run again.

        Raises:
            RunError: the model has no such layer, or no hidden states of that shape.
        """
        ...

    def generate(
        self,
        *,
        temperature: float = 1.0,
        rows: Tensor | None = None,
        prefix: Sequences | None = None,
        beside: ConditionedModel | None = None,
        choose: Callable[..., Tensor] | None = None,
        draws: int = 1,
    ) -> Sequences:
        """Sample one sequence per prompt, in eval mode and without gradients, up to the output limit.

        A sequence ends with its first end-of-sequence token. ``temperature`` 0 is greedy. Only the prompts
        marked in ``rows`` (bool [B]) are continued; the others get length 0.

        ``prefix`` (one sequence a prompt, any lengths) is continued: the result begins with it, and its tokens count
        within the output limit. One that holds an end-of-sequence token, or fills the limit, is the result.

        ``choose`` picks the tokens instead, many rows at a time: it is given the logits (float [n, V]) that predict the
        next token of n rows, those of the model ``beside`` it after the same tokens if there is one (the teacher, for
        example), and float32 [n, draws], the row's own uniform numbers in [0, 1) for this token. It gives the
        tokens' ids, int64 [n], each by its own row alone. It is asked for no token of a prefix or after an end.

        Raises:
            RunError: the prefix is not one sequence a prompt or is longer than the output limit; ``beside`` is not a
                model of the same step; ``beside`` or ``draws`` without ``choose``; ``temperature`` with it; ``choose``
                gives anything but a token for each row.
        """
        ...


class Step(Protocol):
    """One training step. ``training_sequence`` is set once ``make_training_sequence`` has returned."""

    @property
    def target(self) -> Sequences:
        """The ground truth y, with its end-of-sequence token."""
        ...

    @property
    def teacher_target(self) -> Sequences:
        """What the teacher generated before training, for options that say ``needs_teacher_target``."""
        ...

    @property
    def training_sequence(self) -> Sequences:
        """The sequences that ``make_training_sequence`` gave for this step."""
        ...

    @property
    def prepared(self) -> Mapping[str, Tensor]:
        """What ``prepare`` gave for this batch's prompts: tensors [B, ...] by name."""
        ...

    @property
    def examples(self) -> Sequence[int]:
        """The prompts' numbers in the training data, by which they are known from epoch to epoch."""
        ...

    @property
    def state(self) -> Any:
        """The module that ``setup`` gave."""
        ...

    @property
    def student(self) -> ConditionedModel:
        """The student, conditioned on this batch's prompts."""
        ...

    @property
    def teacher(self) -> ConditionedModel:
        """The teacher, conditioned on this batch's prompts: in eval mode, without gradients.

        The recipe's [teacher], unless the options have another ``teacher_model``, or say ``teacher_is_privileged``.
        """
        ...

    def model(self, name: str, *, privileged: bool = False) -> ConditionedModel:
        """A model by its name, conditioned on this batch's prompts; on the privileged ones, if ``privileged``.

        "student" is `student` itself; "base" is the student without its adapter, "average" the moving average of its
        trained weights (`Options.average_decay`), "teacher" the recipe's [teacher], and any other name a further
        teacher's (`Options.teacher_names`). All but the student are in eval mode and without gradients. The same call gives
        the same object for as long as the step lasts: what it has read is not read again.

        Raises:
            RunError: there is no such model, or the options have no ``privileged_prompt``.
        """
        ...

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer that teacher and student share."""
        ...

    @property
    def end_ids(self) -> tuple[int, ...]:
        """The tokens that end a sequence: the tokenizer's end, a chat's end of turn, and those that the models name."""
        ...

    @property
    def progress(self) -> float:
        """How much of the training is done, from 0 to 1."""
        ...

    @property
    def generator(self) -> StepGenerator:
        """The seeded random source; plugins use no other."""
        ...


@dataclass(frozen=True)
class StepLosses:
    """The loss of one whole optimizer step and its two terms, in nats per token: plain numbers."""

    total: float
    divergence: float
    auxiliary: float


class FinishedStep(Protocol):
    """An optimizer step that has been taken."""

    @property
    def training_sequence(self) -> Sequences:
        """The training sequences of the whole step, on the CPU, in the order of their prompts' numbers."""
        ...

    @property
    def examples(self) -> Sequence[int]:
        """The prompts' numbers in the training data, ascending."""
        ...

    @property
    def state(self) -> Any:
        """The module that ``setup`` gave."""
        ...

    @property
    def progress(self) -> float:
        """How much of the training was done before this step, from 0 to 1."""
        ...

    @property
    def generator(self) -> StepGenerator:
        """A seeded random source for this step alone, apart from the one that the step itself has drawn from."""
        ...
