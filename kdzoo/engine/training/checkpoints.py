"""Checkpoints of a training: which of them are whole, and how far the training had come."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

CHECKPOINTS = "checkpoints"
"""The folder of a training's folder that its checkpoints lie in."""

_STATE = "trainer_state.json"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was written to its end, after ``step`` of ``steps`` optimizer steps."""

    path: Path
    step: int
    steps: int


def last_complete_checkpoint(folder: Path) -> Checkpoint | None:
    """Find the newest checkpoint that was written to its end. Changes nothing."""
    found = (_read(path) for path in folder.glob("checkpoint-*"))
    return max((c for c in found if c is not None), key=lambda checkpoint: checkpoint.step, default=None)


def remove_incomplete_checkpoints(folder: Path) -> None:
    """Delete the checkpoints that were being written when their process was stopped."""
    for path in folder.glob("checkpoint-*"):
        if _read(path) is None:
            shutil.rmtree(path)


def has_sharded_optimizer(checkpoint: Path) -> bool:
    """Whether a checkpoint's optimizer was spread over processes, as accelerate writes it then."""
    return (checkpoint / "optimizer.bin").is_file()


def _read(path: Path) -> Checkpoint | None:
    """The Trainer writes its own state last, so that a checkpoint without it was cut off."""
    try:
        state = json.loads((path / _STATE).read_text(encoding="utf-8"))
        return Checkpoint(path, int(state["global_step"]), int(state["max_steps"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
