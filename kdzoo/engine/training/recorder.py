"""What a training logs: a file of JSON lines, and whoever watches."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from kdzoo.files import write_text

if TYPE_CHECKING:
    from kdzoo.engine.training.trainer import KDTrainer

Watch = Callable[[int, int, dict[str, float]], None]
"""Called after every logged step with (steps done, steps in all, the logged numbers and ``tokens_seen``)."""


class Recorder(TrainerCallback):  # type: ignore[misc]
    """Appends what the Trainer logs to a file of JSON lines, and passes it on.

    ``last_loss`` and ``tokens_per_second`` are those of the last step's line, also where an earlier start has written
    it. A number that is not finite is null in the file. Lines of scores stand in the same file: see `kdzoo.engine.training.scoring`.
    """

    def __init__(self, path: Path, watch: Watch) -> None:
        self._path = path
        self._watch = watch
        self._begin = 0.0
        self.trainer: KDTrainer | None = None
        self.last_loss = float("nan")
        self.tokens_per_second = 0.0

    def keep_until(self, step: int) -> None:
        """Keep the lines up to a step: what came after the checkpoint that training continues from is logged anew."""
        kept = lines_until(self._path, step)
        write_text(self._path, "".join(kept))
        of_steps = [line for line in map(json.loads, kept) if "loss" in line]
        if of_steps:
            last = of_steps[-1]
            self.last_loss = math.nan if last["loss"] is None else last["loss"]
            self.tokens_per_second = last["tokens_per_second"]

    def leave_out(self, seconds: float) -> None:
        """So many seconds that have just passed are none of the training's steps."""
        self._begin += seconds

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._begin = time.monotonic()

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
        seen = self.trainer.tokens_seen
        self.tokens_per_second = seen / max(1e-9, time.monotonic() - self._begin)
        self.last_loss = logs["loss"]
        line = {"step": state.global_step, **logs, "tokens_per_second": round(self.tokens_per_second, 1)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({name: _in_json(value) for name, value in line.items()}) + "\n")
        self._watch(state.global_step, state.max_steps, {**line, "tokens_seen": seen})


def _in_json(value: Any) -> Any:
    """JSON has no numbers that are not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def lines_until(path: Path, step: int) -> list[str]:
    """The whole lines of a file of JSON lines whose ``step`` is no later; none if there is no file."""
    if not path.is_file():
        return []
    kept = []
    # split on line ends alone: JSON text may hold other characters that count as line breaks
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for line in file:
            try:
                if line.endswith("\n") and json.loads(line)["step"] <= step:
                    kept.append(line)
            except (ValueError, KeyError, TypeError):
                continue
    return kept
