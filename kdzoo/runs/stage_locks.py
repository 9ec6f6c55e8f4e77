"""A lock for each stage that is being done, so that runs beside each other do not do the same stage twice."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def stage_lock(folder: Path, fingerprint: str, waits: Callable[[str], None]) -> Iterator[None]:
    """Keep other processes out of a stage's fingerprint for a block; the lock ends with the process, however it ends.

    If another process has it, ``waits`` is told which, and the block begins when that one has ended with it: the stage
    may be finished then. On a file system without locks nobody waits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / fingerprint).open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            waits(file.read().strip() or "unknown")
            _wait(file.fileno())
        except OSError:
            pass  # a file system without locks
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _wait(file: int) -> None:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX)
    except OSError:
        return  # the system refuses to let us wait: what is done twice is not done wrongly
