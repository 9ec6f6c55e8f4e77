"""One training step: what a plugin is given, and the loss that its hooks add up to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import pluggy
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from kdzoo.engine.losses.scored_hidden_states import sum_over_tokens
from kdzoo.engine.prompts.conditioned_model import ModelOnPrompts
from kdzoo.engine.training.agreement import Observation
from kdzoo.errors import RunError
from kdzoo.methods.method import Options
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences


@dataclass(frozen=True, eq=False)
class ChosenMethod:
    """One method as a run uses it: its hooks over the core's defaults, and its options."""

    name: str
    hooks: pluggy.HookRelay
    options: Options
    has_divergence: bool
    makes_sequences: bool

    @property
    def keeps_target_lengths(self) -> bool:
        """Whether every training sequence has as many tokens as its prompt's ground truth."""
        return not self.makes_sequences or self.options.keeps_target_lengths


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
    ) -> None:
        self.target = target
        self.student = student
        self.tokenizer = tokenizer
        self.progress = progress
        self.generator = generator
        self._teacher_target = teacher_target
        self._make_teacher = teacher
        self._teacher: ModelOnPrompts | None = None
        self._training_sequence: Sequences | None = None

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


@dataclass(frozen=True)
class TokenCounts:
    """How many tokens the losses are divided by: of one whole optimizer step, over all parts and processes.

    ``by_source``: the scored ones of each source; None where they were counted before their sequences were made.
    """

    scored: Tensor
    target: Tensor
    by_source: Tensor | None = None


class Loss(NamedTuple):
    """The loss of one batch and its two terms (scalars; nats per token).

    ``observed`` are the sums of `kdzoo.engine.training.agreement`, of a step that is logged.
    """

    total: Tensor
    divergence: Tensor
    auxiliary: Tensor
    observed: Tensor | None = None


def make_training_sequence(method: ChosenMethod, step: TrainingStep) -> Sequences:
    """Let the method make the sequences of this step, without gradients.

    Raises:
        RunError: what the method gave has an impossible shape.
    """
    with torch.no_grad():
        sequences: Sequences = method.hooks.make_training_sequence(step=step, options=method.options)
    rows = step.target.tokens.shape[0] * sequences.per_prompt
    if sequences.tokens.shape[0] != rows or sequences.lengths.shape != (rows,):
        raise RunError(
            f"make_training_sequence of method {method.name!r} gave {sequences.tokens.shape[0]} sequences with "
            f"per_prompt={sequences.per_prompt} for {step.target.tokens.shape[0]} prompts"
        )
    if method.options.keeps_target_lengths and not torch.equal(sequences.lengths, step.target.lengths):
        raise RunError(
            f"the options of method {method.name!r} say keeps_target_lengths, but its make_training_sequence gave "
            "sequences of other lengths"
        )
    step.training_sequence = sequences
    return sequences


def loss_of(
    method: ChosenMethod, step: TrainingStep, counts: TokenCounts, observation: Observation | None = None
) -> Loss:
    """Add up the method's losses: the divergence's sum over the scored tokens / ``counts.scored``, plus the auxiliary.

    An ``observation`` compares both models' logits while they are at hand for the divergence.

    Raises:
        RunError: a hook of the method gave a tensor of the wrong shape.
    """
    if method.options.scores_target:
        step.student.score_together(step.training_sequence, step.target)
    step.student.capture(*method.options.hidden_layers)
    if method.options.teacher_hidden_layers:
        step.teacher.capture(*method.options.teacher_hidden_layers)
    target_share = step.target.lengths.sum() / counts.target
    nothing = torch.zeros((), device=step.target.lengths.device)
    divergence = (
        _divergence(method, step, counts, observation) / counts.scored if method.has_divergence else nothing
    )
    given: Tensor | None = method.hooks.aux_loss(step=step, options=method.options)
    if given is not None and given.numel() != 1:
        raise RunError(f"aux_loss of method {method.name!r} must give one number, not {list(given.shape)}")
    auxiliary = nothing if given is None else given.reshape(()).float() * target_share
    return Loss(divergence + auxiliary, divergence.detach(), auxiliary.detach())


def _divergence(
    method: ChosenMethod, step: TrainingStep, counts: TokenCounts, observation: Observation | None
) -> Tensor:
    sequences = step.training_sequence
    tokens = replace(sequences.scored, source_counts=counts.by_source)
    student = step.student.scored_states(sequences)
    with torch.no_grad():
        teacher = step.teacher.eval_states(sequences)
    vocabulary = min(student.vocabulary, teacher.vocabulary)

    def per_token(student_logits: Tensor, part: slice) -> Tensor:
        with torch.no_grad():
            teacher_logits = teacher.logits(part)[:, :vocabulary]
        if observation is not None:
            observation.compare(student_logits[:, :vocabulary], teacher_logits)
        losses: Tensor = method.hooks.divergence(
            student_logits=student_logits[:, :vocabulary],
            teacher_logits=teacher_logits,
            tokens=tokens[part],
            step=step,
            options=method.options,
        )
        if losses.shape != teacher_logits.shape[:1]:
            raise RunError(
                f"divergence of method {method.name!r} must give one number per token, "
                f"[{teacher_logits.shape[0]}], not {list(losses.shape)}"
            )
        return losses

    return sum_over_tokens(student, per_token)
