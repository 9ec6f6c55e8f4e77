"""Training one model by one method: from a learner and its examples to a folder of checkpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from kdzoo.engine.batches import EncodedExample, EncodedExamples
from kdzoo.engine.learner import Learner
from kdzoo.engine.trainer import KDTrainer, last_complete_checkpoint

Watch = Callable[[int, int, dict[str, float]], None]
"""Called after every logged step with (steps done, steps in all, the logged numbers)."""


@dataclass(frozen=True)
class TrainingSettings:
    """How to train: everything that the Trainer is told. ``batch_size`` counts the rows of one optimizer step."""

    batch_size: int
    micro_batch_size: int
    epochs: float
    max_steps: int | None
    learning_rate: float
    schedule: str
    warmup: float
    weight_decay: float
    max_gradient_norm: float
    precision: str
    seed: int
    group_size: int | None
    logging_steps: int
    save_steps: int | None
    loggers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trained:
    """What training gave: steps, the mean loss of the last logged interval, tokens read per second."""

    steps: int
    loss: float
    tokens_per_second: float


def train(
    learner: Learner, examples: list[EncodedExample], folder: Path, settings: TrainingSettings, watch: Watch
) -> Trained:
    """Train, continuing from the newest complete checkpoint in ``folder`` if there is one.

    Writes checkpoints and ``metrics.jsonl`` (one line per logged step) below ``folder``.
    """
    checkpoints = folder / "checkpoints"
    accumulation = settings.batch_size // settings.micro_batch_size
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=settings.micro_batch_size,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=settings.epochs,
        max_steps=-1 if settings.max_steps is None else settings.max_steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_gradient_norm,
        bf16=settings.precision == "bf16",
        seed=settings.seed,
        data_seed=settings.seed,
        logging_steps=settings.logging_steps,
        save_strategy="epoch" if settings.save_steps is None else "steps",
        save_steps=settings.save_steps or 500,
        save_total_limit=1,
        report_to=list(settings.loggers) or "none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available() and not torch.backends.mps.is_available(),
    )
    recorder = _Recorder(folder / "metrics.jsonl", watch)
    trainer = KDTrainer(
        learner,
        EncodedExamples(examples),
        arguments,
        group_size=settings.group_size,
        callbacks=[recorder],
    )
    # the Trainer adds callbacks that print dictionaries; progress is told through `watch`
    trainer.remove_callback(PrinterCallback)
    recorder.trainer = trainer
    checkpoint = last_complete_checkpoint(checkpoints)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    return Trained(trainer.state.global_step, recorder.last_loss, recorder.tokens_per_second)


class _Recorder(TrainerCallback):  # type: ignore[misc]
    """Appends what the Trainer logs to a file of JSON lines, and passes it on."""

    def __init__(self, path: Path, watch: Watch) -> None:
        self._path = path
        self._watch = watch
        self._begin = 0.0
        self.trainer: KDTrainer | None = None
        self.last_loss = float("nan")
        self.tokens_per_second = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._begin = time.monotonic()
        kept = _lines_before(self._path, state.global_step)
        self._path.write_text("".join(kept), encoding="utf-8")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if not logs or "loss" not in logs or self.trainer is None:
            return
        self.tokens_per_second = self.trainer.tokens_seen / max(1e-9, time.monotonic() - self._begin)
        self.last_loss = logs["loss"]
        line = {"step": state.global_step, **logs, "tokens_per_second": round(self.tokens_per_second, 1)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._watch(state.global_step, state.max_steps, line)


def _lines_before(path: Path, step: int) -> list[str]:
    """The lines up to a step: what was logged after the checkpoint that training continues from is logged anew."""
    if not path.is_file():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError):
            continue
    return kept
