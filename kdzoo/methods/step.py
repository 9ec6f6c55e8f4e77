"""What a plugin is given: one training step over a batch of prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from kdzoo.methods.randomness import StepGenerator
    from kdzoo.methods.sequences import Sequences


class ConditionedModel(Protocol):
    """A model that has read this batch's prompts; every call continues from there.

    V is the size of the vocabulary that teacher and student share: padding beyond it is cut off, and never sampled.
    """

    def logits(self, sequences: Sequences) -> Tensor:
        """Float [R, T, V]: position t predicts token t of the sequence. Follows the caller's grad mode.

        Memory grows with R * T * V: prefer `per_token` where a number per token is enough.
        """
        ...

    def per_token(
        self,
        sequences: Sequences,
        function: Callable[..., Tensor],
        inputs: Tensor | None = None,
        where: Tensor | None = None,
    ) -> Tensor:
        """Apply ``function`` (logits [n, V] -> values [n]) to every token's logits, a chunk at a time.

        Without gradients and in eval mode (no dropout). Gives [R, T]; 0 in the padding. Where ``inputs`` [R,
        T] are given, the function takes the tokens' own inputs [n] as its second argument. ``where`` (bool
        [R, T]) leaves out the other tokens, which saves their projection onto the vocabulary; they get 0.
        """
        ...

    def cross_entropy(self, sequences: Sequences, labels: Sequences | None = None) -> Tensor:
        """Mean over the tokens of -log q(label | prompt, sequence before it), nats; follows grad mode.

        ``labels`` are the sequences themselves unless given; they must have the sequences' lengths.
        """
        ...

    def generate(self, *, temperature: float = 1.0, rows: Tensor | None = None) -> Sequences:
        """Sample one sequence per prompt, in eval mode and without gradients, up to the output limit.

        A sequence ends with its first end-of-sequence token. ``temperature`` 0 is greedy. Only the prompts
        marked in ``rows`` (bool [B]) are continued; the others get length 0.
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
    def student(self) -> ConditionedModel:
        """The student, conditioned on this batch's prompts."""
        ...

    @property
    def teacher(self) -> ConditionedModel:
        """The teacher, conditioned on this batch's prompts: in eval mode, without gradients."""
        ...

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer that teacher and student share."""
        ...

    @property
    def progress(self) -> float:
        """How much of the training is done, from 0 to 1."""
        ...

    @property
    def generator(self) -> StepGenerator:
        """The seeded random source; plugins use no other."""
        ...
