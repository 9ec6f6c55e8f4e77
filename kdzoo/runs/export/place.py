"""Where an export goes: a new folder that can be written to, on a disk that holds it."""

from __future__ import annotations

import os
from pathlib import Path

from kdzoo.errors import RunError, UserError
from kdzoo.files import free_bytes, why_not_writable
from kdzoo.runs.memory.stages import in_gib


def new_place(folder: Path) -> Path:
    """The whole path of a folder that an export may fill: a new one, or an empty one.

    Raises:
        UserError: it is a file, or holds something.
        RunError: nothing can be written there.
    """
    whole = Path(os.path.abspath(folder))
    if whole.exists() and not whole.is_dir():
        raise UserError(f"{folder}: is a file; give a new folder")
    if whole.is_dir() and any(whole.iterdir()):
        raise UserError(f"{folder}: is not empty; give a new folder")
    reason = why_not_writable(whole.parent)
    if reason is not None:
        raise RunError(f"{folder}: cannot be written: {reason}")
    return whole


def check_room(folder: Path, needed: int) -> None:
    """Make sure that so many bytes fit on the disk of a folder.

    Raises:
        RunError: they do not.
    """
    free = free_bytes(folder)
    if needed > free:
        raise RunError(f"{folder}: an export needs {in_gib(needed)}, and {in_gib(free)} are free there")
