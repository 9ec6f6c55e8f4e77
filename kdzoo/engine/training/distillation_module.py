"""The module that the trainer trains: its forward pass is one whole step of a method."""

from __future__ import annotations

from dataclasses import replace

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kdzoo.engine.models.decoder_and_head import shared_vocabulary
from kdzoo.engine.prompts.batches import Batch
from kdzoo.engine.prompts.conditioned_model import ModelOnPrompts, condition
from kdzoo.engine.prompts.probe.choice import Sharing, choose_way
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import PrefixCached
from kdzoo.engine.training.agreement import Observation
from kdzoo.engine.training.step import (
    ChosenMethod,
    Loss,
    Moment,
    TokenCounts,
    TrainingStep,
    loss_of,
    make_training_sequence,
)
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences, Source


class DistillationModule(nn.Module):
    """A student, the method that trains it, and (not as a submodule: it is never trained or saved) its teacher.

    Everything that a step computes happens in ``forward``, so that the wrappers of distributed and mixed-precision
    training see every use of the student.
    """

    def __init__(
        self,
        student: PreTrainedModel | PeftModel,
        teacher: PreTrainedModel | PeftModel | None,
        method: ChosenMethod,
        tokenizer: PreTrainedTokenizerBase,
        limits: SamplingLimits,
        *,
        seed: int,
        sharing: Sharing = "on",
        prompt_limit: int = 0,
    ) -> None:
        super().__init__()
        self.student = student
        # by this the Trainer knows what is spread over devices, and leaves it there
        if hasattr(student, "hf_device_map"):
            self.hf_device_map = student.hf_device_map
        self._teacher = (teacher,)  # in a tuple, so that torch does not register it as a submodule
        if teacher is not None:
            teacher.eval().requires_grad_(False)
        self.method = method
        self.tokenizer = tokenizer
        # what one model makes up, the other is to read
        models = [student] if teacher is None else [student, teacher]
        self.limits = replace(limits, vocabulary=shared_vocabulary(*models))
        self.seed = seed
        self._student_way = choose_way(
            student, "student", prompt=prompt_limit, output=limits.output, sharing=sharing, trains=True
        )
        ways = [self._student_way]
        if teacher is not None:
            self._teacher_way = choose_way(
                teacher, "teacher", prompt=prompt_limit, output=limits.output, sharing=sharing
            )
            ways.append(self._teacher_way)
        self.shares_beginnings = sharing == "on" and any(isinstance(way, PrefixCached) for way in ways)

    def forward(self, batch: Batch, moment: Moment, counts: TokenCounts | None = None) -> Loss:
        """Run one step on a batch and give its loss and the loss's two terms, and what is observed if it is logged.

        ``counts`` are those of the whole optimizer step, where they are known beforehand; otherwise the batch (of all
        processes) is the whole of it.
        """
        step = self.begin(batch, moment, trains=torch.is_grad_enabled())
        if batch.training_sequence is not None:
            step.training_sequence = batch.training_sequence
        else:
            make_training_sequence(self.method, step)
        counts = counts or count_tokens([step.training_sequence], [step.target])
        if not moment.is_logged:
            return loss_of(self.method, step, counts)
        observation = Observation(batch.target.tokens.device)
        loss = loss_of(self.method, step, counts, observation)
        return loss._replace(observed=observation.totals(step.training_sequence, self.limits.end_ids))

    def with_training_sequence(self, batch: Batch, moment: Moment) -> Batch:
        """Make a batch's training sequences ahead of its step, which then draws on as if it had made them itself."""
        step = self.begin(batch, moment, trains=False)
        sequences = make_training_sequence(self.method, step)
        return replace(batch, training_sequence=sequences, generator=step.generator)

    def begin(self, batch: Batch, moment: Moment, *, trains: bool) -> TrainingStep:
        """Condition both models on the batch's prompts; neither has read them yet."""
        generator = batch.generator or StepGenerator(self.seed, moment.step, batch.examples)
        student = condition(
            self.student,
            batch,
            self.limits,
            generator,
            source=Source.STUDENT,
            way=self._student_way,
            trains=trains,
        )
        return TrainingStep(
            target=batch.target,
            teacher_target=batch.teacher_target,
            student=student,
            teacher=lambda: self._conditioned_teacher(batch, generator),
            tokenizer=self.tokenizer,
            progress=moment.progress,
            generator=generator,
        )

    def _conditioned_teacher(self, batch: Batch, generator: StepGenerator) -> ModelOnPrompts:
        (teacher,) = self._teacher
        if teacher is None:
            raise ValueError(f"the method {self.method.name!r} needs a teacher, and the stage has none")
        return condition(teacher, batch, self.limits, generator, source=Source.TEACHER, way=self._teacher_way)


def count_tokens(training_sequences: list[Sequences] | None, targets: list[Sequences]) -> TokenCounts:
    """Count the scored tokens and the ground truth's, over all processes; at least 1 each.

    ``training_sequences`` are None where they are still to be made, in the targets' lengths.
    """
    sequences = targets if training_sequences is None else training_sequences
    scored, target = (torch.stack([one.lengths.sum() for one in some]).sum() for some in (sequences, targets))
    by_source = torch.stack([one.source_counts for one in sequences]).sum(0)
    counts = torch.cat([torch.stack([scored, target]), by_source])
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(counts)
    scored, target = counts[:2].clamp_min(1)
    return TokenCounts(scored, target, None if training_sequences is None else counts[2:])
