"""Training one model by one method: from a module and its examples to a folder of checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from kdzoo.engine.models.sharding import whole
from kdzoo.engine.prompts.batches import EncodedExample, EncodedExamples
from kdzoo.engine.prompts.step_shares import StepSize
from kdzoo.engine.training.checkpoints import Found, find_last, has_sharded_optimizer, remove_damaged
from kdzoo.engine.training.distillation_module import DistillationModule
from kdzoo.engine.training.nonfinite import SkippedStep
from kdzoo.engine.training.recorder import Recorder, Watch
from kdzoo.engine.training.scoring import Scorer, apart_from_training
from kdzoo.engine.training.step_times import StepTimes, clock_of
from kdzoo.engine.training.trainer import KDTrainer
from kdzoo.errors import RunError


@dataclass(frozen=True)
class Trained:
    """What training gave: steps done, the mean loss of the last logged interval, tokens read per second.

    ``step_seconds`` is the median time of a step over all starts, without what is logged, scored and saved after it;
    None if none was measured. ``skipped`` of the steps changed nothing, because a loss or a gradient was not finite.
    """

    steps: int
    loss: float
    tokens_per_second: float
    step_seconds: float | None
    skipped: int = 0


def train(
    module: DistillationModule,
    examples: list[EncodedExample],
    folder: Path,
    arguments: TrainingArguments,
    watch: Watch,
    should_stop: Callable[[], bool] = lambda: False,
    *,
    found: Found | None = None,
    size: StepSize | None = None,
    group_size: int | None = None,
    scorer: Scorer | None = None,
    nonfinite_steps: int = 3,
    skipped: Callable[[SkippedStep], None] = lambda _: None,
) -> Trained:
    """Train as ``arguments`` say, continuing from the newest checkpoint in their folder that is as it was written.

    Writes ``metrics.jsonl`` (one line per logged step) into ``folder``. ``should_stop`` is asked after every optimizer
    step: if it says so, a checkpoint is written and the training ends before its last step. ``found`` is what `find_last`
    has found in the checkpoints' folder, unless it is still to look: it reads all of them. ``size`` is that of a step over
    all processes; unless given, what ``arguments`` say of one. With a ``group_size`` so
    many rows of a batch are drawn from one group of examples. A ``scorer`` sees the student after the steps that it asks
    for; apart from that the training is the same. A step whose loss or gradient is not finite changes nothing, and
    ``skipped`` is told of it.

    Raises:
        DivergedError: so many steps in a row as ``nonfinite_steps`` were to be skipped, or a weight is no longer finite.
        RunError: sharded weights are to continue as whole ones, or the other way round; or a model cannot be sharded.
    """
    checkpoints = Path(arguments.output_dir)
    with arguments.main_process_first(local=False):
        found = find_last(checkpoints) if found is None else found
        if arguments.should_save:
            checkpoints.mkdir(parents=True, exist_ok=True)
            remove_damaged(checkpoints, found)
    checkpoint = found.last
    done = 0 if checkpoint is None else checkpoint.step
    recorder = Recorder(folder / "metrics.jsonl", watch)
    recorder.keep_until(done)
    if scorer is not None:
        scorer.continue_after(done)
    times = StepTimes(folder / "step_seconds", clock_of(arguments.device))
    after_steps = _AfterSteps(module, recorder, times, scorer, should_stop)
    trainer = KDTrainer(
        module,
        EncodedExamples(examples),
        _as_needed(arguments),
        size=size,
        group_size=group_size,
        callbacks=[recorder, after_steps],
        step_times=times,
        nonfinite_steps=nonfinite_steps,
        skipped=skipped,
    )
    if checkpoint is not None:
        trainer.nonfinite.load(checkpoint.path)
    # the Trainer adds a callback that prints dictionaries
    trainer.remove_callback(PrinterCallback)
    recorder.trainer = after_steps.trainer = trainer
    try:
        if checkpoint is not None and checkpoint.step >= checkpoint.steps:
            # stopped after its last step: the Trainer would take one more
            trainer.load_student(checkpoint.path)
            after_steps.score_if_due(done, checkpoint.steps)
            steps = done
        else:
            if checkpoint is not None and has_sharded_optimizer(checkpoint.path) != trainer.is_fsdp_enabled:
                begun, now = ("sharded", "whole") if not trainer.is_fsdp_enabled else ("whole", "sharded")
                raise RunError(
                    f"{checkpoint.path} was written with {begun} weights, and cannot be continued with {now} ones; launch as "
                    f"before, or remove {checkpoints.parent} to begin anew"
                )
            if trainer.is_fsdp_enabled:
                if checkpoint is not None:
                    trainer.load_student(checkpoint.path)
                module.shard(arguments.device)
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint.path))
            steps = trainer.state.global_step
    finally:
        times.keep()
    skips = trainer.nonfinite.in_all
    return Trained(steps, recorder.last_loss, recorder.tokens_per_second, times.median(), skips)


def _as_needed(arguments: TrainingArguments) -> TrainingArguments:
    """The arguments with what this training needs whatever else it is told."""
    needed = copy(arguments)
    needed.remove_unused_columns = False  # a batch is no table
    needed.disable_tqdm = True  # progress is told through `watch`
    if needed.n_gpu > 1:
        # several GPUs and one process: torch's DataParallel would give every replica the whole batch
        needed._n_gpu = 1
    return needed


class _AfterSteps(TrainerCallback):  # type: ignore[misc]
    """What is done between two steps: scoring, and ending where it is asked to, with a checkpoint and no step unlogged."""

    def __init__(
        self,
        module: DistillationModule,
        recorder: Recorder,
        times: StepTimes,
        scorer: Scorer | None,
        should_stop: Callable[[], bool],
    ) -> None:
        self.trainer: KDTrainer | None = None
        self._module = module
        self._recorder = recorder
        self._times = times
        self._scorer = scorer
        self._should_stop = should_stop
        self._stops = False

    def score_if_due(self, step: int, last: int, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Score the student if that is to be done after this step; False if the training was to end meanwhile."""
        if self._scorer is None or self.trainer is None or not self._scorer.is_due(step, last):
            return True
        begin = time.monotonic()
        with apart_from_training(self._module.student), whole(self._module):
            scores = self._scorer.score(step, should_stop)
        self._recorder.leave_out(time.monotonic() - begin)
        if scores:
            self.trainer.log(dict(scores))
        return scores is not None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        # a start that was asked to end after a step has left its scoring to this one
        if state.global_step:
            self.score_if_due(state.global_step, state.max_steps)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self.trainer is not None:
            self.trainer.after_optimizer_step()
        self._times.end()
        stop, is_logged = self._should_stop, control.should_log
        if stop() or not self.score_if_due(state.global_step, state.max_steps, stop):
            self._stops = True
        control.should_log = is_logged  # logging a score has taken the step's own line for done
        if self._stops:
            control.should_save = control.should_training_stop = True
        if self._stops or state.global_step >= state.max_steps:
            control.should_log = True

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._times.keep()

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._stops:
            control.should_save = False  # the step's end has saved it
