"""Removes checkpoints of runs, which take most of their space and are of no use to a stage that is finished."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from kdzoo.errors import RunError
from kdzoo.runs.listing import size_of, stage_folders
from kdzoo.runs.process_lock import holder_of, process_lock
from kdzoo.runs.run_directory import LOCK


@dataclass(frozen=True)
class Freed:
    """A folder that was removed, or is to be, and its bytes."""

    path: Path
    size: int


class AtWorkError(RunError):
    """Another process is at work in the run."""


def prunable(run: Path, *, unfinished: bool) -> list[Freed]:
    """The folders of checkpoints that a run's finished stages have left; ``unfinished``: those of the others too.

    A stage that is another run's is looked at there.

    Raises:
        AtWorkError: another process is at work in the run.
    """
    process = holder_of(run / LOCK)
    if process is not None:
        raise _at_work(run, process)
    return _checkpoints(run, unfinished)


def prune(run: Path, *, unfinished: bool) -> list[Freed]:
    """Remove them, and keep other processes out meanwhile.

    Raises:
        AtWorkError: another process is at work in the run.
        RunError: something cannot be removed.
    """

    def refuse(process: str) -> None:
        raise _at_work(run, process)

    if not prunable(run, unfinished=unfinished):
        return []
    try:
        with process_lock(run / LOCK, refuse):
            # a stage may have been begun or finished since
            freed = _checkpoints(run, unfinished)
            for one in freed:
                shutil.rmtree(one.path)
    except OSError as error:
        raise RunError(f"{run}: cannot be pruned: {error.strerror}: {error.filename}") from None
    return freed


def _checkpoints(run: Path, unfinished: bool) -> list[Freed]:
    stages = [stage for stage in stage_folders(run) if stage.is_finished or unfinished]
    folders = [stage.checkpoints for stage in stages if stage.checkpoints is not None]
    return [Freed(folder, size_of(folder)) for folder in folders]


def _at_work(run: Path, process: str) -> AtWorkError:
    return AtWorkError(f"{run}: process {process} is at work in it; it stays as it is")
