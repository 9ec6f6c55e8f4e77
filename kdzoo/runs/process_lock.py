"""A lock that one process has at a time: on a run's directory, and on a stage that is being done."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE_SECONDS = 0.2


@contextmanager
def process_lock(file: Path, taken: Callable[[str], None]) -> Iterator[None]:
    """Keep other processes out for a block; the lock ends with the process, however it ends. It is a file, which stays.

    If another process has it, ``taken`` is told which. Unless that raises, the block begins when the other has ended
    with it. On a file system without locks nobody waits.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as holder:
        # whoever asks for the holder has the lock for a moment
        if not (_locked(holder.fileno()) or _locked_after_a_pause(holder.fileno())):
            holder.seek(0)
            taken(holder.read().strip() or "unknown")
            # a call that waits in the system may not be woken on every file system, nor by a signal
            while not _locked(holder.fileno()):
                time.sleep(_PAUSE_SECONDS)
        holder.truncate(0)
        holder.write(str(os.getpid()))
        holder.flush()
        yield


def holder_of(file: Path) -> str | None:
    """Which process has a lock now; None if none has, or that cannot be known. Changes nothing.

    Not for a process that has the lock itself: it would lose it.
    """
    try:
        with file.open(encoding="utf-8", errors="replace") as held:
            try:
                fcntl.lockf(held.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                return held.read().strip() or "unknown"
            return None
    except OSError:
        return None


def _locked_after_a_pause(file: int) -> bool:
    time.sleep(_PAUSE_SECONDS)
    return _locked(file)


def _locked(file: int) -> bool:
    """Whether the lock is ours now. So it is where there are no locks: what is done twice is not done wrongly."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass  # a file system without locks
    return True
