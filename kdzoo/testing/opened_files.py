"""Which files a piece of work reads, as Python's audit events tell."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_READS = {"r", "rb", "rt"}

# the sets of those who are watching, each of files read and of files written
_watching: list[tuple[set[Path], set[Path]]] = []


@contextmanager
def files_read() -> Iterator[set[Path]]:
    """Collect the files that are opened in this process while the block runs and that were there before, by any thread.

    Databases of SQLite count as read. What other processes open is not seen.
    """
    _listen()
    read: set[Path] = set()
    watcher = (read, set[Path]())
    _watching.append(watcher)
    try:
        yield read
    finally:
        _watching.remove(watcher)
        read.difference_update(watcher[1])


@cache
def _listen() -> None:
    sys.addaudithook(_note)  # for as long as the process lives; without watchers it does nothing


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or event not in ("open", "sqlite3.connect"):
        return
    path = _path_of(arguments[0])
    if path is None:
        return
    reads = event != "open" or _is_read(arguments[1], arguments[2])
    for read, written in _watching:
        (read if reads else written).add(path)


def _is_read(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return mode in _READS
    return isinstance(flags, int) and flags & os.O_ACCMODE == os.O_RDONLY


def _path_of(named: Any) -> Path | None:
    """The file that is opened; None for what is open already, and for databases in memory."""
    if isinstance(named, bytes | os.PathLike):
        named = os.fsdecode(named)
    if not isinstance(named, str) or named in ("", ":memory:"):
        return None
    if named.startswith("file:"):
        named = unquote(urlsplit(named).path)
    return Path(os.path.abspath(named))  # no resolving, which itself opens nothing but may fail
