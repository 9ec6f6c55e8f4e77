"""Writing files so that a crash leaves the old one or the new one, never half of one; and why writing failed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# How libraries below us word that the system refused to write, where they do not raise an OSError.
_REFUSALS = ("I/O error", "PytorchStreamWriter failed", "unexpected pos")


def write_text(path: Path, text: str) -> None:
    """Replace a file's content at once."""
    temporary = _temporary(path)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file's content at once."""
    write_text(path, _as_json(content))


def overwrite_json(path: Path, content: Any) -> None:
    """Write over a JSON file's own space, which a full disk allows as long as no more blocks are needed.

    A crash in between leaves the file broken: for what is better said so than not at all.
    """
    with path.open("r+b") as file:
        file.write(_as_json(content).encode())
        file.truncate()


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name; it takes its own name when the block ends well, replacing what was there."""
    temporary = _temporary(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process was writing in a folder, where no other process is at work."""
    for leftover in folder.glob(".*.tmp"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def why_not_written(error: BaseException, below: Path | None = None) -> str | None:
    """The reason, if an error says that the system refused to write a file (a full disk, a limit); else None.

    The file is named as it is seen from the folder ``below``, and that folder not at all.
    """
    if isinstance(error, BrokenPipeError):
        return None  # whoever read our output has gone
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        file = None if error.filename is None else _seen_from(below, Path(os.fsdecode(error.filename)))
        return reason if file is None else f"{file}: {reason}"
    words = str(error)
    from_sqlite = isinstance(error, sqlite3.OperationalError) and ("disk" in words or "readonly" in words)
    if from_sqlite or any(refusal in words for refusal in _REFUSALS):
        return words.splitlines()[0]
    return None


def why_not_writable(folder: Path) -> str | None:
    """The reason why nothing can be written to a folder, which need not be there yet; None if there is none."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return None
    reason = os.strerror(errno.EACCES if there.is_dir() else errno.ENOTDIR)
    return reason if there == folder else f"{there}: {reason}"


def _seen_from(folder: Path | None, file: Path) -> Path | None:
    if folder is None or not file.absolute().is_relative_to(folder.absolute()):
        return file
    return None if file.absolute() == folder.absolute() else file.absolute().relative_to(folder.absolute())


def _as_json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")
