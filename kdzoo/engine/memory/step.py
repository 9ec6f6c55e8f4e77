"""One training step on models without numbers: what it keeps, and what it holds for a moment beside that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from kdzoo.engine.losses.scored_hidden_states import (
    ScoredHiddenStates,
    sum_of_cross_entropies,
    sum_over_tokens,
)
from kdzoo.engine.memory.live_bytes import LiveBytes
from kdzoo.engine.models.decoder_and_head import shared_vocabulary
from kdzoo.engine.prompts.batches import Batch
from kdzoo.engine.prompts.conditioned_model import ModelOnPrompts, condition
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Way
from kdzoo.methods.divergences import reverse_kl
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences, Source

Model: TypeAlias = PreTrainedModel | PeftModel


@dataclass(frozen=True)
class StepBytes:
    """What a step takes beside weights, gradients and optimizer, in bytes.

    ``prompts`` and ``sequences`` are what the student's passes over each keep for the backward pass, copies of the weights in
    a lower precision among them; ``teacher`` is what the teachers keep until the loss is known. ``losses`` and ``backward``
    are the most that is held for a moment beside these: logits of a chunk, and what a layer computes.
    """

    prompts: int
    sequences: int
    teacher: int
    losses: int
    backward: int

    def peak(self, gradients: int, *, in_parts: bool) -> int:
        """The most at a time, with the gradients, of so many bytes: as they come, or with those of the parts before."""
        kept = self.prompts + self.sequences
        until_loss = kept + self.teacher + self.losses + (gradients if in_parts else 0)
        # a layer's activations go as its gradients come, so that the most is at one of the ends
        ends = kept + gradients if in_parts else max(kept, gradients)
        return max(until_loss, ends + self.backward)


@dataclass(frozen=True)
class Work:
    """What a method does in a step, as far as memory is concerned.

    ``sequences`` are what it trains on, after a batch's prompts; ``scores_target``: an auxiliary loss scores the ground truth
    as well. ``layers`` and ``teacher_layers`` are those whose hidden states its losses take.
    """

    sequences: Sequences
    scores_target: bool = False
    layers: tuple[int, ...] = ()
    teacher_layers: tuple[int, ...] = ()


def bytes_of_step(
    student: Model,
    teachers: list[Model],
    batch: Batch,
    work: Work,
    way: Way,
    *,
    autocast: torch.dtype | None = None,
    with_losses: bool = True,
) -> StepBytes:
    """Run a step of models from `kdzoo.engine.memory.shadow` on a batch and count.

    Without losses only the passes of the models over prompts and sequences are run; what comes after them counts nothing.

    The divergence is one of both models' logits, the auxiliary loss cross entropy. With ``autocast`` products are of that
    type. What an architecture cannot do without numbers raises whatever it does.
    """
    device = next(student.parameters()).device.type
    live = LiveBytes()
    student.train()
    with live:
        with torch.autocast(device, autocast, enabled=autocast is not None):
            total, *marks = _forward(student, teachers, batch, work, way, live, with_losses)
        prompts, sequences, before_losses = marks
        if total is None:
            return StepBytes(prompts, sequences - prompts, before_losses - sequences, 0, 0)
        losses, kept = live.peak, live.live
        live.forget_peak()
        total.backward()  # type: ignore[no-untyped-call]
    gradients = sum(p.grad.nbytes for p in student.parameters() if p.grad is not None)
    for parameter in student.parameters():
        parameter.grad = None
    return StepBytes(
        prompts,
        sequences - prompts,
        before_losses - sequences,
        losses - before_losses,
        max(0, live.peak - max(kept, gradients)),
    )


def _forward(
    student: Model,
    teachers: list[Model],
    batch: Batch,
    work: Work,
    way: Way,
    live: LiveBytes,
    with_losses: bool,
) -> tuple[Tensor | None, int, int, int]:
    """The loss if it is wanted, and what was alive after the prompts, the sequences, and the teachers' sequences."""
    limits = SamplingLimits(work.sequences.tokens.shape[1], (0,), shared_vocabulary(student, *teachers))
    generator = StepGenerator(0, 0, batch.examples)
    trained = condition(student, batch, limits, generator, source=Source.STUDENT, way=way, trains=True)
    trained.capture(*work.layers)
    if work.scores_target:
        trained.score_together(work.sequences, batch.target)
    trained.read_prompts()
    prompts = live.live
    trained.scored_states(work.sequences)
    sequences = live.live
    given = []
    for teacher in teachers:
        reader = condition(teacher, batch, limits, generator, source=Source.TEACHER, way=way)
        reader.capture(*work.teacher_layers)
        with torch.no_grad():
            given.append((reader, reader.eval_states(work.sequences)))
    before_losses = live.live
    loss = _loss(trained, given, batch, work) if with_losses else None
    return loss, prompts, sequences, before_losses


def _loss(
    student: ModelOnPrompts,
    given: list[tuple[ModelOnPrompts, ScoredHiddenStates]],
    batch: Batch,
    work: Work,
) -> Tensor:
    states, target = student.scored_states(work.sequences), batch.target
    if not given:
        return sum_of_cross_entropies(states, work.sequences.tokens[work.sequences.mask])
    vocabulary = student.limits.vocabulary

    def per_token(logits: Tensor, part: slice) -> Tensor:
        with torch.no_grad():
            others = [reader.eval_logits(states, part)[:, :vocabulary] for reader, states in given]
        return torch.stack([reverse_kl(logits[:, :vocabulary], other) for other in others]).sum(0)

    total = sum_over_tokens(states, per_token)
    if work.scores_target:
        total = total + sum_of_cross_entropies(student.scored_states(target), target.tokens[target.mask])
    return total
