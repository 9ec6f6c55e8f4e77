"""transformers' Trainer, taught to draw groups, count tokens over a whole optimizer step, and save the student."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, set_peft_model_state_dict
from peft.utils import load_peft_weights
from torch import Tensor, nn
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from kdzoo.engine.batches import (
    Batch,
    EncodedExample,
    EncodedExamples,
    GroupedSampler,
    SeededSampler,
    make_batch,
)
from kdzoo.engine.learner import Learner, count_tokens
from kdzoo.engine.training_step import TokenCounts


class KDTrainer(Trainer):  # type: ignore[misc]
    """Trains a `Learner`. Losses are sums over tokens divided by the number of tokens of the whole optimizer step.

    Everything else (mixed precision, accumulation, clipping, schedules, distribution, checkpoints, loggers) is
    transformers' own.
    """

    # compute_loss divides by the whole step's tokens; the Trainer must not divide again
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        learner: Learner,
        examples: EncodedExamples,
        arguments: TrainingArguments,
        *,
        group_size: int | None = None,
        callbacks: list[TrainerCallback] | None = None,
    ) -> None:
        super().__init__(
            model=learner,
            args=arguments,
            train_dataset=examples,
            data_collator=self._collate,
            callbacks=callbacks,
        )
        self._learner = learner
        self._group_size = group_size
        self._counts: TokenCounts | None = None
        self._logged: dict[str, float] = defaultdict(float)
        self._steps_logged = 0
        self.tokens_seen = 0

    def _collate(self, examples: list[EncodedExample]) -> dict[str, Batch]:
        return {"batch": make_batch(examples, share_beginnings=self._learner.shares_beginnings)}

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        examples = self.train_dataset.examples
        if self._group_size is None:
            return SeededSampler(len(examples), self.args.seed)
        size = self.args.per_device_train_batch_size
        lengths = [len(e.target) for e in examples]
        return GroupedSampler([e.group for e in examples], lengths, size, self._group_size, self.args.seed)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Batch]], None]:
        """Collect the parts of one optimizer step; where there are several, count their tokens beforehand.

        The sequences of all parts must then be known before the first loss, so methods that make sequences make
        them here. The parts share neither caches nor gradients, so memory does not grow with their number.
        """
        batches = [inputs for _, inputs in zip(range(num_batches), epoch_iterator, strict=False)]
        self._learner.progress = self.state.global_step / max(1, self.state.max_steps)
        self._learner.optimizer_step = self.state.global_step
        self._counts = None
        self._steps_logged += 1
        if len(batches) > 1:
            self._learner.train()
            if self._learner.method.makes_sequences:
                with self.accelerator.autocast():
                    batches = [{"batch": self._with_sequence(inputs["batch"])} for inputs in batches]
            parts = [inputs["batch"] for inputs in batches]
            targets = [part.target for part in parts]
            sequences = [part.training_sequence or part.target for part in parts]
            self._counts = count_tokens(sequences, targets)
        return batches, None

    def _with_sequence(self, batch: Batch) -> Batch:
        return replace(batch, training_sequence=self._learner.training_sequence(batch))

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Batch],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Run one part of an optimizer step. Distributed training averages gradients, so the loss is scaled up."""
        batch = inputs["batch"]
        loss: Tensor = model(batch, self._counts)
        terms = self._learner.last_loss
        assert terms is not None
        self._logged["kd_loss"] += float(terms.divergence)
        self._logged["aux_loss"] += float(terms.auxiliary)
        self.tokens_seen += sum(len(prompt) for prompt in batch.prompts) + int(batch.target.lengths.sum())
        scaled: Tensor = loss * self.accelerator.num_processes
        return scaled

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the two terms of the loss beside it."""
        if "loss" in logs:
            logs |= {name: total / max(1, self._steps_logged) for name, total in self._logged.items()}
            self._logged.clear()
            self._steps_logged = 0
        super().log(logs, start_time)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        if not self.args.should_save:
            return
        folder = output_dir or self.args.output_dir
        prefix = "student."
        if state_dict is not None:
            state_dict = {
                name.removeprefix(prefix): value
                for name, value in state_dict.items()
                if name.startswith(prefix)
            }
        self._learner.student.save_pretrained(folder, state_dict=state_dict)
        self._learner.tokenizer.save_pretrained(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        student = self._learner.student
        if isinstance(student, PeftModel):
            set_peft_model_state_dict(student, load_peft_weights(resume_from_checkpoint, device="cpu"))
        else:
            saved = type(student).from_pretrained(resume_from_checkpoint, dtype=student.dtype)
            student.load_state_dict(saved.state_dict())


def last_complete_checkpoint(folder: Path) -> Path | None:
    """Find the newest checkpoint that was written to its end, and delete those that were not.

    The Trainer writes its own state last, so that a checkpoint without it was cut off.
    """
    while folder.is_dir():
        found = get_last_checkpoint(str(folder))
        if found is None:
            return None
        checkpoint = Path(found)
        if (checkpoint / "trainer_state.json").is_file():
            return checkpoint
        shutil.rmtree(checkpoint)
    return None
