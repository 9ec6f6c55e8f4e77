"""One training step: the sequences that a method's hooks make, and the loss that they add up to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from kdzoo.engine.losses.scored_hidden_states import sum_over_tokens
from kdzoo.engine.training.agreement import Observation
from kdzoo.engine.training.chosen_method import ChosenMethod
from kdzoo.engine.training.other_logits import OtherModels
from kdzoo.engine.training.training_step import TrainingStep
from kdzoo.errors import RunError
from kdzoo.methods.loss_sum import LossSum, terms_of
from kdzoo.methods.sequences import Sequences


@dataclass(frozen=True)
class TokenCounts:
    """How many tokens and prompts the losses are divided by: of one whole optimizer step, over all parts and processes.

    ``by_source``: the scored ones of each source; None where they were counted before their sequences were made.
    """

    scored: Tensor
    target: Tensor
    prompts: Tensor
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
    nothing = torch.zeros((), device=step.target.lengths.device)
    divergence = (
        _divergence(method, step, counts, observation) / counts.scored if method.has_divergence else nothing
    )
    given = method.hooks.aux_loss(step=step, options=method.options)
    auxiliary = nothing
    for term in terms_of(given):
        auxiliary = auxiliary + _auxiliary(method, step, counts, term)
    return Loss(divergence + auxiliary, divergence.detach(), auxiliary.detach())


def _auxiliary(
    method: ChosenMethod, step: TrainingStep, counts: TokenCounts, given: Tensor | LossSum
) -> Tensor:
    """This part's share of a term of the auxiliary loss of the whole step."""
    total = given.total if isinstance(given, LossSum) else given
    if total.numel() != 1:
        raise RunError(f"aux_loss of method {method.name!r} must give one number, not {list(total.shape)}")
    total = total.reshape(()).float()
    if not isinstance(given, LossSum):
        return total * (step.target.lengths.sum() / counts.target)
    whole = {"target_token": counts.target, "scored_token": counts.scored, "prompt": counts.prompts}
    return total / whole[given.per]


def _divergence(
    method: ChosenMethod, step: TrainingStep, counts: TokenCounts, observation: Observation | None
) -> Tensor:
    sequences = step.training_sequence
    tokens = replace(sequences.scored, source_counts=counts.by_source)
    student = step.student.scored_states(sequences)
    vocabulary = (
        student.vocabulary if step.student.limits.vocabulary is None else step.student.limits.vocabulary
    )
    teacher = None
    if method.compares:
        with torch.no_grad():
            teacher = step.teacher.eval_states(sequences)
        vocabulary = min(vocabulary, teacher.vocabulary)
    others = OtherModels(step, vocabulary)

    def per_token(student_logits: Tensor, part: slice) -> Tensor:
        teacher_logits = None
        if teacher is not None:
            with torch.no_grad():
                teacher_logits = step.teacher.eval_logits(teacher, part)[:, :vocabulary]
            if observation is not None:
                observation.compare(student_logits[:, :vocabulary], teacher_logits)
        losses: Tensor = method.hooks.divergence(
            student_logits=student_logits[:, :vocabulary],
            teacher_logits=teacher_logits,
            other_logits=others.on(part),
            tokens=tokens[part],
            step=step,
            options=method.options,
        )
        if losses.shape != student_logits.shape[:1]:
            raise RunError(
                f"divergence of method {method.name!r} must give one number per token, "
                f"[{student_logits.shape[0]}], not {list(losses.shape)}"
            )
        return losses

    return sum_over_tokens(student, per_token, of_method=step.trained_parameters)
