"""The directory that one recipe fills, and the finished stages that can be found again in it and beside it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from kdzoo.errors import RunError
from kdzoo.files import overwrite_json, remove_leftovers, write_json, write_text
from kdzoo.runs.fresh import Fresh
from kdzoo.runs.process_lock import process_lock

_RECORD = "stage.json"
_FINGERPRINT = "fingerprint"
LOCK = ".lock"
_RECIPE = "recipe.toml"
_REHEARSED = "rehearses.toml"


@dataclass(frozen=True)
class StageRecord:
    """What a finished stage says of itself in its ``stage.json``. ``seconds`` is the wall time of its last start.

    ``mark`` is that of the ``--fresh`` that it was done anew for, if it was.
    """

    name: str
    kind: str
    fingerprint: str
    seconds: float
    results: dict[str, Any] = field(default_factory=dict)
    mark: str | None = None


class RunDirectory:
    """``<out>/<recipe>-<hash>``: one folder per stage, ``recipe.toml`` and ``run.json``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stage(self, name: str) -> Path:
        """The folder of a stage."""
        return self.path / name

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the directory and keep other processes out of it; the lock ends with the process, however it ends.

        Raises:
            RunError: another process is at work in it.
        """

        def refuse(process: str) -> None:
            raise RunError(
                f"another process ({process}) is at work in {self.path}; wait until it has ended, or give another --out"
            ) from None

        with process_lock(self.path / LOCK, refuse):
            yield

    def begin(self, recipe_text: str, description: dict[str, Any], rehearses: str | None = None) -> None:
        """Write the resolved recipe, the one that it ``rehearses`` if it does, and a run.json that says "running"."""
        remove_leftovers(self.path)
        self.fresh.settle()
        write_text(self.path / _RECIPE, recipe_text)
        if rehearses is not None:
            write_text(self.path / _REHEARSED, rehearses)
        self.describe({**description, "status": "running"})

    @property
    def fresh(self) -> Fresh:
        """The stages that are still to be done anew."""
        return Fresh.of(self.path)

    def ask_anew(self, stages: Iterable[str], mark: str) -> None:
        """Let stages be done anew, here and by every later start until they are; see `kdzoo.runs.fresh`."""
        self.fresh.settle()
        Fresh.ask(self.path, stages, mark)

    def others_of(self, recipe_text: str) -> list[Path]:
        """The directories beside this one that the same recipe made: under other versions, code or data."""
        return [
            run
            for run in _folders(self.path.parent)
            if run != self.path and _text(run / _RECIPE) == recipe_text
        ]

    def describe(self, description: dict[str, Any]) -> None:
        """Replace run.json."""
        write_json(self.path / "run.json", description)

    def describe_in_place(self, description: dict[str, Any]) -> None:
        """The same where a new file may not fit on the disk: run.json's own space is then written over."""
        try:
            self.describe(description)
        except OSError:
            overwrite_json(self.path / "run.json", description)

    def finish_stage(self, record: StageRecord) -> None:
        """Mark a stage as finished. Until then it is continued by the next run, never reused."""
        fresh = self.fresh
        marked = replace(record, mark=fresh.mark_of(record.name))
        write_json(self.stage(record.name) / _RECORD, asdict(marked))
        fresh.is_done(record.name)

    def begin_stage(self, name: str, fingerprint: str) -> Path:
        """Give the stage's folder; what was left there of other settings, or half written, is removed.

        What is finished and to be done anew is kept aside until the stage is finished.
        """
        folder, fresh = self.stage(name), self.fresh
        mark = fresh.mark_of(name)
        if folder.is_symlink():
            folder.unlink()
        if folder.exists() and not _is_begun(folder, fingerprint, mark):
            if mark is not None and _finished(folder, fingerprint) is not None:
                fresh.put_aside(name)
            else:
                shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        write_text(folder / _FINGERPRINT, fingerprint if mark is None else f"{fingerprint} {mark}")
        return folder

    def begun(self, name: str, fingerprint: str) -> Path | None:
        """The folder of a stage that was begun here and can be continued; nothing is changed."""
        folder = self.stage(name)
        is_ours = not folder.is_symlink() and _is_begun(folder, fingerprint, self.fresh.mark_of(name))
        return folder if is_ours else None

    def find_finished(self, name: str, fingerprint: str) -> tuple[Path, StageRecord] | None:
        """Find a finished stage of that fingerprint: here first, then in the runs beside this one.

        One that is to be done anew counts if it has been, here or there.
        """
        mark = self.fresh.mark_of(name)
        own = _finished(self.stage(name), fingerprint, mark)
        if own is not None:
            return self.stage(name), own
        for run in _folders(self.path.parent):
            for folder in _folders(run):
                record = None if folder.is_symlink() else _finished(folder, fingerprint, mark)
                if record is not None:
                    return folder, record
        return None

    def reuse(self, name: str, folder: Path) -> None:
        """Let this run's stage be another run's, by a relative link."""
        own = self.stage(name)
        if own != folder:
            if own.is_symlink():
                own.unlink()
            elif own.exists():
                shutil.rmtree(own)
            own.symlink_to(os.path.relpath(folder, own.parent), target_is_directory=True)
        self.fresh.is_done(name)


def _is_begun(folder: Path, fingerprint: str, mark: str | None) -> bool:
    """Whether a stage was begun with that fingerprint and, where there is one, after its mark."""
    begun, _, marked = (_text(folder / _FINGERPRINT) or "").partition(" ")
    return begun == fingerprint and mark in (None, marked)


def _finished(folder: Path, fingerprint: str, mark: str | None = None) -> StageRecord | None:
    """The record of a stage that is finished, has that fingerprint and mark, and still holds the model that it trained."""
    try:
        record = StageRecord(**json.loads((folder / _RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    is_whole = record.kind == "evaluate" or (folder / "model").is_dir()
    is_wanted = record.fingerprint == fingerprint and mark in (None, record.mark)
    return record if is_whole and is_wanted else None


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder that can be read, by name; others may come and go meanwhile."""
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_dir())
    except OSError:
        return []


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
