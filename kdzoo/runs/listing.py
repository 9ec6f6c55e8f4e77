"""What stands in folders of runs: how each ended, what it scored, and the space that it takes. Needs no torch."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kdzoo.engine.training.checkpoints import CHECKPOINTS
from kdzoo.errors import UserError
from kdzoo.report.run_files import DamagedError, as_table, is_number, read_object
from kdzoo.runs.process_lock import holder_of
from kdzoo.runs.run_directory import LOCK

_RUN = "run.json"

# What every start writes anew, whether or not there is anything left to do.
_OF_EVERY_START = {_RUN, "recipe.toml", "rehearses.toml", LOCK}


@dataclass(frozen=True)
class StageFolder:
    """A stage's folder in a run. One that is a link is another run's stage."""

    path: Path
    kind: str
    is_finished: bool

    @property
    def is_link(self) -> bool:
        """Whether it is another run's."""
        return self.path.is_symlink()

    @property
    def checkpoints(self) -> Path | None:
        """The folder of its own checkpoints, if it has one."""
        folder = self.path / CHECKPOINTS
        return folder if folder.is_dir() and not (self.is_link or folder.is_symlink()) else None


@dataclass(frozen=True)
class ListedRun:
    """One run.

    ``status`` is "finished", "failed", "interrupted", "running", or "killed" for one that says it runs and does not.
    ``scores`` are by model, set and metric; ``size`` and ``checkpoints_size`` are in bytes, without what it links to;
    ``written`` is when its stages were last written to.
    """

    folder: Path
    recipe: str
    status: str
    process: str | None
    stages: tuple[StageFolder, ...]
    of_stages: int
    scores: dict[str, dict[str, dict[str, float | None]]]
    size: int
    checkpoints_size: int
    written: datetime | None
    notes: tuple[str, ...] = field(default=())

    @property
    def finished_stages(self) -> int:
        """How many of its stages are finished."""
        return sum(stage.is_finished for stage in self.stages)

    def as_json(self) -> dict[str, Any]:
        """The same for other programs. Times are in UTC."""
        return {
            "run": str(self.folder),
            "recipe": self.recipe,
            "status": self.status,
            "process": self.process,
            "stages": {"finished": self.finished_stages, "of": self.of_stages},
            "scores": self.scores,
            "bytes": self.size,
            "checkpoint_bytes": self.checkpoints_size,
            "written": None if self.written is None else self.written.isoformat(timespec="seconds"),
            "notes": list(self.notes),
        }


def runs_in(folders: Iterable[Path]) -> list[Path]:
    """The folders of the runs that are given, and of those that given folders hold. None is named twice.

    Raises:
        UserError: a folder is not there, or is a file.
    """
    found: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: {'is a file' if folder.exists() else 'there is no such folder'}")
        inside = (
            [folder]
            if (folder / _RUN).is_file()
            else sorted(file.parent for file in folder.glob(f"*/{_RUN}"))
        )
        for run in inside:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def list_run(folder: Path) -> ListedRun:
    """Look at one run, which another process may be at work in. What cannot be read of it is noted."""
    notes: list[str] = []
    described: dict[str, Any] = {}
    try:
        described = read_object(folder / _RUN)
    except DamagedError as error:
        notes.append(str(error))
    process = holder_of(folder / LOCK)
    status = str(described.get("status", "unknown"))
    if process is not None:
        status = "running"
    elif status == "running":
        status = "killed"
    stages = tuple(stage_folders(folder))
    sizes = list(_sizes(folder))
    own = [stage.checkpoints for stage in stages if stage.checkpoints is not None]
    written = max((time for file, _, time in sizes if file.name not in _OF_EVERY_START), default=None)
    return ListedRun(
        folder,
        str(described.get("recipe", folder.name)),
        status,
        process,
        stages,
        _stages_of_recipe(folder, len(stages)),
        _scores(stages, notes),
        sum(size for _, size, _ in sizes),
        sum(size_of(path) for path in own),
        None if written is None else datetime.fromtimestamp(written, UTC),
        tuple(notes),
    )


def stage_folders(run: Path) -> Iterator[StageFolder]:
    """The stages that have been begun in a run, by name."""
    for path in sorted(run.iterdir()):
        is_stage = any((path / name).is_file() for name in ("fingerprint", "stage.json"))
        if path.name.startswith(".") or not is_stage:
            continue
        record = _record(path)
        kind = str(record.get("kind", ""))
        yield StageFolder(path, kind, kind == "evaluate" or (bool(record) and (path / "model").is_dir()))


def size_of(folder: Path) -> int:
    """The bytes of all files below a folder. What links lead to does not count."""
    return sum(size for _, size, _ in _sizes(folder))


def _record(stage: Path) -> dict[str, Any]:
    try:
        return as_table(json.loads((stage / "stage.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _sizes(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """The files below a folder with their bytes and times. They may go while this looks."""
    for root, _, names in os.walk(folder):
        for name in names:
            file = Path(root) / name
            try:
                status = file.lstat()
            except OSError:
                continue
            if not file.is_symlink():
                yield file, status.st_size, status.st_mtime


def _stages_of_recipe(folder: Path, begun: int) -> int:
    try:
        content = tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8"))
        return max(begun, len(content.get("stage", [])))
    except (OSError, ValueError):
        return begun


def _scores(stages: Iterable[StageFolder], notes: list[str]) -> dict[str, dict[str, dict[str, float | None]]]:
    scores: dict[str, dict[str, dict[str, float | None]]] = {}
    for stage in stages:
        if stage.kind != "evaluate":
            continue
        for model, result in as_table(as_table(_record(stage.path).get("results")).get("models")).items():
            of_model = scores.setdefault(model, {})
            for name, on_set in as_table(as_table(result).get("sets")).items():
                of_set = of_model.setdefault(name, {})
                for metric, score in as_table(as_table(on_set).get("scores")).items():
                    of_set[metric] = score if is_number(score) else None
    return scores
