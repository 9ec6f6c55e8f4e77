"""Training one model by one method: from a module and its examples to a folder of checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from kdzoo.engine.prompts.batches import EncodedExample, EncodedExamples
from kdzoo.engine.training.checkpoints import (
    CHECKPOINTS,
    last_complete_checkpoint,
    remove_incomplete_checkpoints,
)
from kdzoo.engine.training.distillation_module import DistillationModule
from kdzoo.engine.training.recorder import Recorder, Watch
from kdzoo.engine.training.trainer import KDTrainer


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
    """What training gave: steps done, the mean loss of the last logged interval, tokens read per second."""

    steps: int
    loss: float
    tokens_per_second: float


def train(
    module: DistillationModule,
    examples: list[EncodedExample],
    folder: Path,
    settings: TrainingSettings,
    watch: Watch,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train, continuing from the newest complete checkpoint in ``folder`` if there is one.

    Writes checkpoints and ``metrics.jsonl`` (one line per logged step) below ``folder``. ``should_stop`` is asked
    after every optimizer step: if it says so, a checkpoint is written and the training ends before its last step.

    Raises:
        DivergedError: a loss, a gradient or a weight is no longer finite.
    """
    checkpoints = folder / CHECKPOINTS
    checkpoints.mkdir(parents=True, exist_ok=True)
    remove_incomplete_checkpoints(checkpoints)
    checkpoint = last_complete_checkpoint(checkpoints)
    recorder = Recorder(folder / "metrics.jsonl", watch)
    recorder.keep_until(0 if checkpoint is None else checkpoint.step)
    trainer = KDTrainer(
        module,
        EncodedExamples(examples),
        _arguments(settings, checkpoints),
        group_size=settings.group_size,
        callbacks=[recorder, _Ending(should_stop)],
    )
    # the Trainer adds callbacks that print dictionaries; progress is told through `watch`
    trainer.remove_callback(PrinterCallback)
    recorder.trainer = trainer
    if checkpoint is not None and checkpoint.step >= checkpoint.steps:
        # stopped after its last step: the Trainer would take one more
        trainer.load_student(checkpoint.path)
        steps = checkpoint.step
    else:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint.path))
        steps = trainer.state.global_step
    return Trained(steps, recorder.last_loss, recorder.tokens_per_second)


def _arguments(settings: TrainingSettings, checkpoints: Path) -> TrainingArguments:
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
    if arguments.n_gpu > 1:
        # several GPUs and one process: torch's DataParallel would give every replica the whole batch
        arguments._n_gpu = 1
    return arguments


class _Ending(TrainerCallback):  # type: ignore[misc]
    """Ends a training after a step where it is asked to, with a checkpoint of it, and leaves no step unlogged."""

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        self._should_stop = should_stop
        self._stops = False

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._should_stop():
            self._stops = True
            control.should_save = control.should_training_stop = True
        if self._stops or state.global_step >= state.max_steps:
            control.should_log = True

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._stops:
            control.should_save = False  # the step's end has saved it
