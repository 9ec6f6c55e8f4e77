"""Disk space before a run: what its trainings will write must fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kdzoo.errors import RunError
from kdzoo.files import free_bytes
from kdzoo.recipe import Recipe, Stage
from kdzoo.runs.memory.stages import StageMemory, in_gib


def check_disk(
    recipe: Recipe, to_do: Sequence[Stage], memory: Mapping[str, StageMemory], directory: Path
) -> None:
    """Make sure that every stage's model fits, and beside them the checkpoints of the stage with the largest.

    A checkpoint is removed only when the next one is written. Stages whose models could not be looked at count nothing.

    Raises:
        RunError: they do not fit.
    """
    models, checkpoints = 0, [0]
    for stage in to_do:
        if stage.role is None or stage.name not in memory:
            continue
        saved = memory[stage.name].saved
        models += saved.model
        checkpoints.append(saved.checkpoint * (2 if saved.several else 1))
    free = free_bytes(directory)
    needed = models + max(checkpoints)
    if needed > free:
        raise RunError(
            f"cannot write below {directory}: there are {in_gib(free)} free, and this run writes {in_gib(needed)}: models of "
            f"{in_gib(models)}, and checkpoints of {in_gib(max(checkpoints))} at a time; --out names another folder"
        )
