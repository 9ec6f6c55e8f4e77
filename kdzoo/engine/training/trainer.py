"""transformers' Trainer, taught to draw groups, count tokens over a whole optimizer step, and save the student."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.data_loader import prepare_data_loader
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainingArguments

from kdzoo.engine.models.sharding import (
    free,
    keep_whole_in_step,
    whole,
)
from kdzoo.engine.prompts.batch_order import SeededSampler, order_of
from kdzoo.engine.prompts.batches import Batch, EncodedExample, EncodedExamples, make_batch
from kdzoo.engine.prompts.step_shares import StepShares, StepSize
from kdzoo.engine.training.agreement import means_of
from kdzoo.engine.training.distillation_module import DistillationModule, count_tokens
from kdzoo.engine.training.nonfinite import NonFiniteSteps, SkippedStep
from kdzoo.engine.training.processes import of_all_processes
from kdzoo.engine.training.saving_trainer import SavingTrainer
from kdzoo.engine.training.step import Loss
from kdzoo.engine.training.step_times import StepTimes
from kdzoo.engine.training.training_step import Moment
from kdzoo.methods.step import StepLosses


class KDTrainer(SavingTrainer):
    """Trains a `DistillationModule`. Losses are sums over tokens divided by the number of tokens of the whole optimizer step.

    A step whose loss or gradient is not finite is skipped whole: it counts, the schedule goes on, and the student, the optimizer and
    what the method keeps stay as they are. ``nonfinite_steps`` such steps in a row end the training; ``skipped`` is told of each.

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
        size: StepSize | None = None,
        group_size: int | None = None,
        callbacks: list[TrainerCallback] | None = None,
        step_times: StepTimes | None = None,
        nonfinite_steps: int = 3,
        skipped: Callable[[SkippedStep], None] = lambda _: None,
    ) -> None:
        """``size`` is that of an optimizer step; unless given, what ``arguments`` say of one process."""
        super().__init__(
            module,
            args=arguments,
            train_dataset=examples,
            data_collator=self._collate,
            callbacks=callbacks,
        )
        part, parts = arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps
        self._size = size or StepSize(part * parts, part)
        self._group_size = group_size
        self._logged: dict[str, float] = defaultdict(float)
        self._steps_logged = 0
        self._observed: Tensor | None = None
        self._moment = Moment(step=0, progress=0.0)
        self._of_step = [0.0, 0.0]
        self._tokens_of_process = 0
        self.tokens_seen = 0
        self.step_times = step_times
        self.nonfinite = NonFiniteSteps(
            nonfinite_steps, skipped, gather=of_all_processes, any_of=self._is_any
        )
        self._is_skipped = self._any_skipped = False

    def _collate(self, examples: list[EncodedExample]) -> dict[str, Batch]:
        rows = examples or self.train_dataset.examples[:1]
        batch = make_batch(rows, share_beginnings=self._module.shares_beginnings)
        return {"batch": batch if examples else replace(batch, fills=True)}

    def get_train_dataloader(self) -> DataLoader[EncodedExample]:
        """Load this process's parts of each step. What a step takes does not depend on the number of processes."""
        shares = StepShares(
            self._get_train_sampler(),
            self._size,
            process=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
        )
        loader = DataLoader(
            self.train_dataset,
            batch_sampler=shares,
            collate_fn=self._collate,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )
        # the parts are this process's own: accelerate is to move them to the device, and to divide them no further
        prepared: DataLoader[EncodedExample] = prepare_data_loader(
            loader, self.args.device, num_processes=1, process_index=0, put_on_device=True
        )
        return prepared

    def _get_train_sampler(self, train_dataset: Any = None) -> SeededSampler:
        # whole steps are drawn, whatever parts they are computed in
        return order_of(self.train_dataset.examples, self._size.prompts, self._group_size, self.args.seed)

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
        self.nonfinite.begin()
        self._moment, self._of_step = moment, [0.0, 0.0]
        lengths_are_known = self._module.method.keeps_target_lengths
        if len(batches) > 1 and not lengths_are_known:
            self._module.train()
            with self.accelerator.autocast(), whole(self._module):
                batches = [self._module.with_training_sequence(batch, moment) for batch in batches]
        counts = None
        if batches and (len(batches) > 1 or lengths_are_known):
            targets = [batch.target for batch in batches]
            made = [batch.training_sequence for batch in batches if batch.training_sequence is not None]
            if not self._module.method.makes_sequences:
                made = targets
            counts = count_tokens(made or None, targets, [batch.fills for batch in batches])
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
        """Run one part of an optimizer step. Distributed training averages gradients, so the loss is scaled up."""
        batch: Batch = inputs["batch"]
        loss: Loss = model(**inputs)
        kd_loss, aux_loss = float(loss.divergence), float(loss.auxiliary)
        self.nonfinite.saw([] if batch.fills else batch.examples, kd_loss, aux_loss)
        self._of_step = [self._of_step[0] + kd_loss, self._of_step[1] + aux_loss]
        if loss.observed is not None:
            self._observed = loss.observed if self._observed is None else self._observed + loss.observed
        if not batch.fills:
            self._tokens_of_process += sum(len(prompt) for prompt in batch.prompts) + int(
                batch.target.lengths.sum()
            )
        scaled: Tensor = loss.total * self.accelerator.num_processes
        return scaled

    def training_step(self, *arguments: Any, **named: Any) -> Tensor:
        """Run one part of an optimizer step, forward and backward."""
        loss: Tensor = super().training_step(*arguments, **named)
        if self.is_fsdp_enabled:
            free(self._module)
        return loss

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        """Give the norm of the step's whole gradient, and drop that gradient if the step is to be skipped.

        Raises:
            DivergedError: too many steps in a row are skipped; the weights stay as the last step left them.
        """
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        whole = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        self._is_skipped = self.nonfinite.skips(self.state.global_step + 1, float(whole))
        if self._is_skipped:
            # without gradients the optimizer changes neither weights nor what it keeps
            model.zero_grad(set_to_none=True)
            self._observed = None
            self._any_skipped = True
            return norm
        for name, value in zip(("kd_loss", "aux_loss"), self._of_step, strict=True):
            self._logged[name] += value
        self._steps_logged += 1
        return norm

    def _is_any(self, here: bool) -> bool:
        return self._over_processes(float(here))[0] > 0

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the two terms of the loss beside it, and what was observed at the last step. Skipped steps do not count.

        The loss is not a number where all steps since the last line were skipped.
        """
        if "loss" in logs:
            kd_loss, aux_loss, tokens = self._over_processes(
                self._logged["kd_loss"], self._logged["aux_loss"], self._tokens_of_process
            )
            self.tokens_seen = int(tokens)
            steps = max(1, self._steps_logged)
            if self._any_skipped:
                logs["loss"] = (kd_loss + aux_loss) / steps if self._steps_logged else math.nan
            logs |= {"kd_loss": kd_loss / steps, "aux_loss": aux_loss / steps}
            if self.nonfinite.in_all:
                logs["skipped_steps"] = self.nonfinite.in_all
            self._logged.clear()
            self._steps_logged = 0
            self._any_skipped = False
            if self._observed is not None:
                logs |= means_of(self._observed)
                self._observed = None
        super().log(logs, start_time)

    def after_optimizer_step(self) -> None:
        """Let what follows the student's weights do so, and the method adapt what it keeps to the step, if it was taken."""
        if self._is_skipped:
            self._module.forget_step()
            return
        self._module.update_average()
        if not self._module.method.adapts:
            return
        divergence, auxiliary = self._over_processes(*self._of_step)
        self._module.after_step(self._moment, StepLosses(divergence + auxiliary, divergence, auxiliary))

    def _over_processes(self, *shares: float) -> list[float]:
        """The sums of what each process has its share of."""
        if self.accelerator.num_processes == 1:
            return list(shares)
        values = torch.tensor(shares, dtype=torch.float64, device=self.args.device)
        return cast("list[float]", self.accelerator.reduce(values).tolist())

    def _prepare_for_training(self, *arguments: Any, **named: Any) -> Any:
        prepared = super()._prepare_for_training(*arguments, **named)
        keep_whole_in_step(self._module)
        return prepared

    def save_more(self, folder: Path) -> None:
        """Write into a checkpoint what else a later start needs."""
        self.nonfinite.save(folder)
