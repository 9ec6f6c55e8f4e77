"""transformers' Trainer, taught to draw groups, count tokens over a whole optimizer step, and save the student."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, set_peft_model_state_dict
from peft.utils import load_peft_weights
from torch import Tensor, nn
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback, TrainingArguments

from kdzoo.engine.prompts.batch_order import GroupedSampler, SeededSampler
from kdzoo.engine.prompts.batches import Batch, EncodedExample, EncodedExamples, make_batch
from kdzoo.engine.training.agreement import means_of
from kdzoo.engine.training.distillation_module import DistillationModule, count_tokens
from kdzoo.engine.training.method_state import load_state, save_state
from kdzoo.engine.training.step import Loss
from kdzoo.engine.training.step_times import StepTimes
from kdzoo.engine.training.training_step import Moment
from kdzoo.methods.step import StepLosses


class DivergedError(Exception):
    """A loss, a gradient or a weight is no longer finite; the message says when: "at step 7"."""


class KDTrainer(Trainer):  # type: ignore[misc]
    """Trains a `DistillationModule`. Losses are sums over tokens divided by the number of tokens of the whole optimizer step.

    Everything else (mixed precision, accumulation, clipping, schedules, distribution, checkpoints, loggers) is
    transformers' own.
    """

    # compute_loss divides by the whole step's tokens; the Trainer must not divide again
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        module: DistillationModule,
        examples: EncodedExamples,
        arguments: TrainingArguments,
        *,
        group_size: int | None = None,
        callbacks: list[TrainerCallback] | None = None,
        step_times: StepTimes | None = None,
    ) -> None:
        super().__init__(
            model=module,
            args=arguments,
            train_dataset=examples,
            data_collator=self._collate,
            callbacks=callbacks,
        )
        self._module = module
        self._group_size = group_size
        self._logged: dict[str, float] = defaultdict(float)
        self._steps_logged = 0
        self._observed: Tensor | None = None
        self._moment = Moment(step=0, progress=0.0)
        self._of_step = [0.0, 0.0]
        self.tokens_seen = 0
        self.step_times = step_times

    def _collate(self, examples: list[EncodedExample]) -> dict[str, Batch]:
        return {"batch": make_batch(examples, share_beginnings=self._module.shares_beginnings)}

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        examples = self.train_dataset.examples
        if self._group_size is None:
            return SeededSampler(len(examples), self.args.seed)
        # whole batches are drawn, whatever parts they are computed in
        size = self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps
        lengths = [len(e.target) for e in examples]
        return GroupedSampler([e.group for e in examples], lengths, size, self._group_size, self.args.seed)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Any]], None]:
        """Collect the parts of one optimizer step, each with the moment and the whole step's token counts.

        Where there are several parts and a method's sequences are of lengths that nobody knows beforehand, the
        sequences of all parts are made here: they must be known before the first loss. The parts share neither caches
        nor gradients, so memory does not grow with their number.
        """
        if self.step_times is not None:
            self.step_times.begin()
        batches = [inputs["batch"] for _, inputs in zip(range(num_batches), epoch_iterator, strict=False)]
        done = self.state.global_step
        moment = Moment(done, done / max(1, self.state.max_steps), self._is_logged(done + 1))
        self._steps_logged += 1
        self._moment, self._of_step = moment, [0.0, 0.0]
        lengths_are_known = self._module.method.keeps_target_lengths
        if len(batches) > 1 and not lengths_are_known:
            self._module.train()
            with self.accelerator.autocast():
                batches = [self._module.with_training_sequence(batch, moment) for batch in batches]
        counts = None
        if batches and (len(batches) > 1 or lengths_are_known):
            targets = [batch.target for batch in batches]
            made = [batch.training_sequence for batch in batches if batch.training_sequence is not None]
            if not self._module.method.makes_sequences:
                made = targets
            counts = count_tokens(made or None, targets)
        return [{"batch": batch, "moment": moment, "counts": counts} for batch in batches], None

    def _is_logged(self, step: int) -> bool:
        """Whether a line is logged after a step, whatever happens meanwhile."""
        every, last = int(self.state.logging_steps), int(self.state.max_steps)
        return step % every == 0 or step >= last

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Run one part of an optimizer step. Distributed training averages gradients, so the loss is scaled up.

        Raises:
            DivergedError: the loss is not finite; the weights stay as the last step left them.
        """
        batch: Batch = inputs["batch"]
        loss: Loss = model(**inputs)
        kd_loss, aux_loss = float(loss.divergence), float(loss.auxiliary)
        if not math.isfinite(kd_loss + aux_loss):
            raise DivergedError(f"at step {self.state.global_step + 1}")
        for name, place, value in (("kd_loss", 0, kd_loss), ("aux_loss", 1, aux_loss)):
            self._logged[name] += value
            self._of_step[place] += value
        if loss.observed is not None:
            self._observed = loss.observed if self._observed is None else self._observed + loss.observed
        self.tokens_seen += sum(len(prompt) for prompt in batch.prompts) + int(batch.target.lengths.sum())
        scaled: Tensor = loss.total * self.accelerator.num_processes
        return scaled

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the two terms of the loss beside it, and what was observed at the last step.

        Raises:
            DivergedError: the gradients of the step are not finite.
        """
        if "loss" in logs:
            logs |= {name: total / max(1, self._steps_logged) for name, total in self._logged.items()}
            self._logged.clear()
            self._steps_logged = 0
            if self._observed is not None:
                logs |= means_of(self._observed)
                self._observed = None
        super().log(logs, start_time)
        if not math.isfinite(logs.get("grad_norm", 0.0)):
            raise DivergedError(f"at step {self.state.global_step}")

    def after_optimizer_step(self) -> None:
        """Let what follows the student's weights do so, and the method adapt what it keeps to the step that has been taken."""
        self._module.update_average()
        if not self._module.method.adapts:
            return
        # each process has its share of the step's losses
        divergence, auxiliary = self.accelerator.reduce(
            torch.tensor(self._of_step, dtype=torch.float64, device=self.args.device)
        ).tolist()
        self._module.after_step(self._moment, StepLosses(divergence + auxiliary, divergence, auxiliary))

    def load_student(self, checkpoint: Path) -> None:
        """Give the student the weights of a checkpoint."""
        self._load_from_checkpoint(str(checkpoint))

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        if not self.args.should_save:
            return
        trained = (weights for weights in self._module.parameters() if weights.requires_grad)
        if not all(bool(weights.isfinite().all()) for weights in trained):
            # a checkpoint of it would let every later start diverge at once; the last step is saved too
            raise DivergedError(f"at step {self.state.global_step}")
        folder = output_dir or self.args.output_dir
        prefix = "student."
        if state_dict is not None:
            state_dict = {
                name.removeprefix(prefix): value
                for name, value in state_dict.items()
                if name.startswith(prefix)
            }
        self._module.student.save_pretrained(folder, state_dict=state_dict)
        self._module.tokenizer.save_pretrained(folder)
        save_state(self._module.method_state, Path(folder))
        if self._module.average is not None:
            self._module.average.save(Path(folder))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        student = self._module.student
        if isinstance(student, PeftModel):
            set_peft_model_state_dict(student, load_peft_weights(resume_from_checkpoint, device="cpu"))
        else:
            saved = type(student).from_pretrained(resume_from_checkpoint, dtype=student.dtype)
            student.load_state_dict(saved.state_dict())
        load_state(self._module.method_state, Path(resume_from_checkpoint))
        if self._module.average is not None:
            self._module.average.load(Path(resume_from_checkpoint))
