"""The module that the trainer trains: its forward pass is one whole step of a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kdzoo.engine.models.average import AveragedWeights
from kdzoo.engine.models.decoder_and_head import shared_vocabulary
from kdzoo.engine.models.sharding import is_sharded, shard_layers
from kdzoo.engine.prompts.batches import Batch
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Sharing
from kdzoo.engine.training.agreement import Observation
from kdzoo.engine.training.chosen_method import ChosenMethod
from kdzoo.engine.training.method_state import make_state, shape_of
from kdzoo.engine.training.models_by_name import ModelsByName
from kdzoo.engine.training.preparation import checked
from kdzoo.engine.training.processes import of_all_processes
from kdzoo.engine.training.step import Loss, TokenCounts, loss_of, make_training_sequence
from kdzoo.engine.training.training_step import Moment, TakenStep, TrainingStep, in_their_order
from kdzoo.errors import RunError
from kdzoo.methods.model_names import STUDENT, TEACHER
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences, Source
from kdzoo.methods.step import ModelShape, SetupContext, StepLosses

# Before its first step a training prepares; after each, a method draws from streams that no step has.
_BEFORE_TRAINING = Moment(step=-1, progress=0.0)
_AFTERWARDS = 1 << 40


class DistillationModule(nn.Module):
    """A student, the method that trains it with what it keeps, and (no submodules: never trained or saved) its teachers.

    Everything that a step computes happens in ``forward``, so that the wrappers of distributed and mixed-precision
    training see every use of the student. ``steps`` is the number of optimizer steps of the training; ``others`` are the
    further teachers by their names. ``prompt_limit`` and ``privileged_limit`` are the tokens of the longest prompt of each
    kind.
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
        steps: int = 0,
        others: Mapping[str, PreTrainedModel | PeftModel] | None = None,
        privileged_limit: int = 0,
    ) -> None:
        super().__init__()
        self.student = student
        # by this accelerate knows what to shard by itself
        self._no_split_modules = list(getattr(student, "_no_split_modules", None) or ())
        # by this the Trainer knows what is spread over devices, and leaves it there
        if hasattr(student, "hf_device_map"):
            self.hf_device_map = student.hf_device_map
        # in a dictionary, so that torch does not register them as submodules
        teachers = {**({} if teacher is None else {TEACHER: teacher}), **(others or {})}
        for one in teachers.values():
            one.eval().requires_grad_(False)
        self.method = method
        self.tokenizer = tokenizer
        # what one model makes up, the others are to read
        self.limits = replace(limits, vocabulary=shared_vocabulary(student, *teachers.values()))
        self.seed = seed
        options = method.options
        self.average = (
            None if options.average_decay is None else AveragedWeights(student, options.average_decay)
        )
        self.models = ModelsByName(
            student,
            teachers,
            self.average,
            self.limits,
            sharing=sharing,
            prompt=prompt_limit,
            privileged=privileged_limit,
        )
        self.models.find_way(STUDENT, privileged=False, trains=True)
        self._teacher = (options.teacher_model, options.teacher_is_privileged)
        context = SetupContext(
            student=shape_of(student),
            teacher=self._shape_of_teacher(),
            tokenizer=tokenizer,
            steps=steps,
            others={name: shape_of(model) for name, model in (others or {}).items()},
        )
        for name in options.teacher_names:
            self.models.underlying(name)  # all that may be asked for is there
        for name in (name for name in (self._teacher[0], *teachers) if name in self.models):
            self.models.find_way(name, privileged=self._teacher == (name, True))
        self.method_state = make_state(method, context, seed)
        self._taken: list[tuple[list[int], Sequences]] = []
        self.shares_beginnings = sharing == "on" and self.models.read_once

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
        if self.method.adapts and not batch.fills:
            self._taken.append((batch.examples, step.training_sequence.detach().to("cpu")))
        counts = counts or count_tokens([step.training_sequence], [step.target], [batch.fills])
        if not moment.is_logged:
            return _of_batch(batch, loss_of(self.method, step, counts))
        observation = Observation(batch.target.tokens.device)
        loss = loss_of(self.method, step, counts, observation)
        observed = observation.totals(step.training_sequence, self.limits.end_ids)
        return _of_batch(batch, loss._replace(observed=observed))

    def with_training_sequence(self, batch: Batch, moment: Moment) -> Batch:
        """Make a batch's training sequences ahead of its step, which then draws on as if it had made them itself."""
        step = self.begin(batch, moment, trains=False)
        sequences = make_training_sequence(self.method, step)
        return replace(batch, training_sequence=sequences, generator=step.generator)

    @torch.no_grad()
    def prepare(self, batch: Batch) -> dict[str, Tensor]:
        """Let the method prepare what it keeps of a batch's prompts: tensors [B, ...] by name, on the CPU.

        Raises:
            RunError: what the method gave has an impossible shape.
        """
        step = self.begin(batch, _BEFORE_TRAINING, trains=False)
        given = self.method.hooks.prepare(step=step, options=self.method.options)
        return {name: value.detach().cpu() for name, value in checked(self.method.name, given, batch).items()}

    @torch.no_grad()
    def after_step(self, moment: Moment, losses: StepLosses) -> None:
        """Let the method adapt what it keeps to an optimizer step, whose parts have all been run since the last."""
        examples, sequences = in_their_order(of_all_processes(self._taken))
        self._taken.clear()
        generator = StepGenerator(self.seed + _AFTERWARDS, moment.step, examples)
        taken = TakenStep(sequences, examples, moment.progress, generator, self.method_state)
        self.method.hooks.after_step(step=taken, losses=losses, options=self.method.options)

    def forget_step(self) -> None:
        """The step whose parts have been run since the last counts for nothing."""
        self._taken.clear()

    def begin(self, batch: Batch, moment: Moment, *, trains: bool) -> TrainingStep:
        """Condition both models on the batch's prompts; neither has read them yet."""
        generator = batch.generator or StepGenerator(self.seed, moment.step, batch.examples)
        student = self.models.condition(
            STUDENT, batch, generator, privileged=False, trains=trains, source=Source.STUDENT
        )
        return TrainingStep(
            target=batch.target,
            teacher_target=batch.teacher_target,
            student=student,
            condition=partial(self.models.condition, batch=batch, generator=generator),
            teacher=self._teacher,
            others=self.models.beside_the_student,
            tokenizer=self.tokenizer,
            end_ids=self.limits.end_ids,
            progress=moment.progress,
            generator=generator,
            examples=batch.examples,
            prepared=batch.prepared,
            state=self.method_state,
        )

    def shard(self, device: torch.device) -> None:
        """Spread the teachers over all processes, and get ready for a student that is.

        Raises:
            RunError: a model cannot be sharded, or the method keeps an average of the student's weights.
        """
        if self.average is not None:
            raise RunError(
                f"method {self.method.name!r} keeps an average of the student's weights, which cannot be sharded"
            )
        self.models.run_in_step()
        for teacher in self.models.teachers:
            if not is_sharded(teacher):
                shard_layers(teacher, device)

    def update_average(self) -> None:
        """Let the moving average of the student's weights, if one is kept, follow an optimizer step."""
        if self.average is not None:
            self.average.update()

    def _shape_of_teacher(self) -> ModelShape | None:
        name, _ = self._teacher
        if name == TEACHER and name not in self.models:
            return None  # the method has none, or says so when it asks for it
        return shape_of(self.models.underlying(name))


def _of_batch(batch: Batch, loss: Loss) -> Loss:
    """The loss of a batch; nothing, though with gradients, if the batch only fills."""
    if not batch.fills:
        return loss
    observed = None if loss.observed is None else loss.observed * 0
    return Loss(loss.total * 0.0, loss.divergence * 0.0, loss.auxiliary * 0.0, observed)


def count_tokens(
    training_sequences: Sequence[Sequences] | None, targets: Sequence[Sequences], fills: Sequence[bool] = ()
) -> TokenCounts:
    """Count the scored tokens, the ground truth's and the prompts, over all processes; at least 1 each.

    ``training_sequences`` are None where they are still to be made, in the targets' lengths. What only ``fills`` is not
    counted.
    """
    sequences = targets if training_sequences is None else training_sequences
    counts = torch.stack(
        [
            torch.cat(
                [
                    torch.stack([scored.lengths.sum(), target.lengths.sum()]),
                    target.lengths.new_tensor([len(target.lengths)]),
                    scored.source_counts,
                ]
            )
            for scored, target in zip(sequences, targets, strict=True)
        ]
    )
    if any(fills):
        counts = counts[~torch.tensor(fills, device=counts.device)]
    counts = counts.sum(0)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(counts)
    scored, target, prompts = counts[:3].clamp_min(1)
    return TokenCounts(scored, target, prompts, None if training_sequences is None else counts[3:])
