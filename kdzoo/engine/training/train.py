"""Training one model by one method: from a module and its examples to a folder of checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from kdzoo.engine.prompts.batches import EncodedExample, EncodedExamples
from kdzoo.engine.training.checkpoints import last_complete_checkpoint, remove_incomplete_checkpoints
from kdzoo.engine.training.distillation_module import DistillationModule
from kdzoo.engine.training.recorder import Recorder, Watch
from kdzoo.engine.training.trainer import KDTrainer


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
    arguments: TrainingArguments,
    watch: Watch,
    should_stop: Callable[[], bool] = lambda: False,
    *,
    group_size: int | None = None,
) -> Trained:
    """Train as ``arguments`` say, continuing from the newest complete checkpoint in their folder if there is one.

    Writes ``metrics.jsonl`` (one line per logged step) into ``folder``. ``should_stop`` is asked after every optimizer
    step: if it says so, a checkpoint is written and the training ends before its last step. With a ``group_size`` so
    many rows of a batch are drawn from one group of examples.

    Raises:
        DivergedError: a loss, a gradient or a weight is no longer finite.
    """
    checkpoints = Path(arguments.output_dir)
    checkpoints.mkdir(parents=True, exist_ok=True)
    remove_incomplete_checkpoints(checkpoints)
    checkpoint = last_complete_checkpoint(checkpoints)
    recorder = Recorder(folder / "metrics.jsonl", watch)
    recorder.keep_until(0 if checkpoint is None else checkpoint.step)
    trainer = KDTrainer(
        module,
        EncodedExamples(examples),
        _as_needed(arguments),
        group_size=group_size,
        callbacks=[recorder, _Ending(should_stop)],
    )
    # the Trainer adds a callback that prints dictionaries
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


def _as_needed(arguments: TrainingArguments) -> TrainingArguments:
    """The arguments with what this training needs whatever else it is told."""
    needed = copy(arguments)
    needed.remove_unused_columns = False  # a batch is no table
    needed.disable_tqdm = True  # progress is told through `watch`
    if needed.n_gpu > 1:
        # several GPUs and one process: torch's DataParallel would give every replica the whole batch
        needed._n_gpu = 1
    return needed


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
