"""The directory that one recipe fills, and the finished stages that can be found again in it and beside it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kdzoo.errors import RunError
from kdzoo.files import write_json, write_text

_RECORD = "stage.json"


@dataclass(frozen=True)
class StageRecord:
    """What a finished stage says of itself in its ``stage.json``. ``seconds`` is its wall time over all its starts."""

    name: str
    kind: str
    fingerprint: str
    seconds: float
    results: dict[str, Any] = field(default_factory=dict)


class RunDirectory:
    """``<out>/<recipe>-<hash>``: one folder per stage, ``recipe.toml`` and ``run.json``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stage(self, name: str) -> Path:
        """The folder of a stage."""
        return self.path / name

    def begin(self, recipe_text: str, description: dict[str, Any]) -> None:
        """Create the directory, the resolved recipe and a run.json that says "running"."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_text(self.path / "recipe.toml", recipe_text)
            self.describe({**description, "status": "running"})
        except OSError as error:
            raise RunError(f"cannot write to {self.path}: {error.strerror or error}") from error

    def describe(self, description: dict[str, Any]) -> None:
        """Replace run.json."""
        write_json(self.path / "run.json", description)

    def finish_stage(self, record: StageRecord) -> None:
        """Mark a stage as finished. Until then it is continued by the next run, never reused."""
        write_json(self.stage(record.name) / _RECORD, asdict(record))

    def begin_stage(self, name: str, fingerprint: str) -> Path:
        """Give the stage's folder; what an unfinished stage of other settings left there is removed."""
        folder = self.stage(name)
        if folder.is_symlink():
            folder.unlink()
        marker = folder / "fingerprint"
        if folder.exists() and (not marker.is_file() or marker.read_text() != fingerprint):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(marker, fingerprint)
        return folder

    def find_finished(self, name: str, fingerprint: str) -> tuple[Path, StageRecord] | None:
        """Find a finished stage of that fingerprint: here first, then in the runs beside this one."""
        own = _read_record(self.stage(name))
        if own is not None and own.fingerprint == fingerprint:
            return self.stage(name), own
        if not self.path.parent.is_dir():
            return None
        for run in sorted(self.path.parent.iterdir()):
            if not run.is_dir():
                continue
            for folder in sorted(run.iterdir()):
                if folder.is_symlink() or not folder.is_dir():
                    continue
                record = _read_record(folder)
                if record is not None and record.fingerprint == fingerprint:
                    return folder, record
        return None

    def reuse(self, name: str, folder: Path) -> None:
        """Let this run's stage be another run's, by a relative link."""
        own = self.stage(name)
        if own == folder:
            return
        if own.is_symlink():
            own.unlink()
        elif own.exists():
            shutil.rmtree(own)
        own.symlink_to(os.path.relpath(folder, own.parent), target_is_directory=True)


def _read_record(folder: Path) -> StageRecord | None:
    try:
        return StageRecord(**json.loads((folder / _RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
