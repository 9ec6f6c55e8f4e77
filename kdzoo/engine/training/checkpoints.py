"""Checkpoints of a training: written aside and renamed, known by the hashes of their files, and the last whole one found."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdzoo.errors import RunError
from kdzoo.files import digest_of, names_to_disk, write_json

CHECKPOINTS = "checkpoints"
"""The folder of a training's folder that its checkpoints lie in."""

MANIFEST = "manifest.json"
"""The file of a checkpoint that names its other files, with their sizes and SHA-256 hashes."""

ASIDE = ".checkpoint.tmp"
"""Where a checkpoint is while it is being written. One process, or one group of them, trains in a folder at a time."""

_STATE = "trainer_state.json"
_NAME = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was written to its end, after ``step`` of ``steps`` optimizer steps."""

    path: Path
    step: int
    steps: int


@dataclass(frozen=True)
class Damaged:
    """A checkpoint that nothing can continue from, and why: "model.safetensors has 10 bytes instead of 5000"."""

    path: Path
    why: str

    def __str__(self) -> str:
        return f"{self.path.name} is damaged ({self.why})"


@dataclass(frozen=True)
class Found:
    """The checkpoint to continue from, if there is one, and the later ones that are not as they were written, newest first."""

    last: Checkpoint | None
    damaged: tuple[Damaged, ...] = ()


def has_sharded_optimizer(checkpoint: Path) -> bool:
    """Whether a checkpoint's optimizer was spread over processes, as accelerate writes it then."""
    return (checkpoint / "optimizer.bin").is_file()


def publish(aside: Path, folder: Path, keep: int | None) -> None:
    """Let a checkpoint that has been written to ``aside`` be one of ``folder``, under the name that it has.

    Its files reach the disk, and are written down with their hashes, before it takes its name. Then all but the ``keep``
    checkpoints of the latest steps are removed.

    Raises:
        OSError: the system refuses to write; the folder's other checkpoints are as they were.
    """
    files = {}
    for file in sorted(path for path in aside.rglob("*") if path.is_file() and path.name != MANIFEST):
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            os.fsync(stream.fileno())
            files[file.relative_to(aside).as_posix()] = {"bytes": stream.tell(), "sha256": digest}
    write_json(aside / MANIFEST, {"files": files})
    place = folder / aside.name
    if place.exists():
        place.rename(aside.with_name(f"{aside.name}.before"))
    aside.rename(place)
    names_to_disk(folder)
    if keep:
        keep_last(folder, keep)


def keep_last(folder: Path, count: int = 1) -> None:
    """Remove all but the checkpoints of the latest steps. There may be no such folder."""
    for path in _folders(folder)[count:]:
        shutil.rmtree(path)


def checkpoints_in(folder: Path) -> list[Checkpoint]:
    """The checkpoints whose files are all there in their sizes, newest first. Their content is not read."""
    return [found for found in map(_look_at, _folders(folder)) if isinstance(found, Checkpoint)]


def find_last(folder: Path) -> Found:
    """Find the newest checkpoint whose files are as they were written, by their hashes. Changes nothing."""
    damaged: list[Damaged] = []
    for path in _folders(folder):
        found = _look_at(path, reads=True)
        if isinstance(found, Checkpoint):
            return Found(found, tuple(damaged))
        damaged.append(found)
    return Found(None, tuple(damaged))


def remove_damaged(folder: Path, found: Found) -> None:
    """Delete what was being written when a process was stopped, and what was ``found`` that nothing can continue from."""
    shutil.rmtree(folder / ASIDE, ignore_errors=True)
    for damaged in found.damaged:
        shutil.rmtree(damaged.path, ignore_errors=True)  # another process of the group may be at it


@contextmanager
def read_as_data(checkpoint: str | Path | None) -> Iterator[None]:
    """Let what else than tensors, numbers and containers of them is in a checkpoint end the block. No code of it is run.

    Raises:
        RunError: there is such a thing in it.
    """
    try:
        yield
    except (pickle.UnpicklingError, ValueError, KeyError, TypeError, EOFError) as error:
        why = str(error).strip().partition("\n")[0]
        raise RunError(
            f"{checkpoint}: holds what no training has written ({why}); remove it to continue from the one before it"
        ) from None


def _folders(folder: Path) -> list[Path]:
    """The checkpoints of a folder by the steps in their names, latest first: a clock may have been set back."""
    steps = {path: _NAME.fullmatch(path.name) for path in folder.glob("checkpoint-*") if path.is_dir()}
    named = {path: int(match[1]) for path, match in steps.items() if match is not None}
    return sorted(named, key=lambda path: named[path], reverse=True)


def _look_at(path: Path, *, reads: bool = False) -> Checkpoint | Damaged:
    """Hold a checkpoint's files against its manifest: their sizes, and where it ``reads`` them, their hashes."""
    try:
        files = _object(path / MANIFEST)["files"]
        named = {name: (int(of["bytes"]), str(of["sha256"])) for name, of in files.items()}
    except FileNotFoundError:
        return Damaged(path, f"it has no {MANIFEST}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Damaged(path, f"{MANIFEST} cannot be read")
    try:
        for name, (size, _) in named.items():
            found = (path / name).stat().st_size
            if found != size:
                return Damaged(path, f"{name} has {found} bytes instead of {size}")
        for name, (_, digest) in named.items() if reads else ():
            if digest_of(path / name, whole=sys.maxsize) != digest:
                return Damaged(path, f"{name} is not what was written")
        state = _object(path / _STATE)
        return Checkpoint(path, int(state["global_step"]), int(state["max_steps"]))
    except FileNotFoundError as error:
        return Damaged(path, f"{Path(error.filename).relative_to(path)} is not there")
    except OSError as error:
        return Damaged(path, f"a file cannot be read: {error.strerror}")
    except (ValueError, KeyError, TypeError):
        return Damaged(path, f"{_STATE} cannot be read")


def _object(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise TypeError
    return content
