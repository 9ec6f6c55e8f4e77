"""What runs have left in their folders: the recipe, and what each finished stage recorded."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdzoo.errors import UserError
from kdzoo.files import read_json
from kdzoo.recipe import Recipe, load_recipe, resolved_toml
from kdzoo.report.run_files import DamagedError, as_table, read_object

_RECIPE = "recipe.toml"
_RUN = "run.json"
_SWEEP = "sweep.json"
_MANY = 5


@dataclass(frozen=True)
class FinishedStage:
    """A finished stage: its folder, behind all links, the hash of all that shaped it, and its results."""

    folder: Path
    fingerprint: str
    results: Mapping[str, Any]


@dataclass(frozen=True)
class ReadRun:
    """One run. ``content`` is its recipe with all defaults, as TOML has it; ``stages`` are those that are finished, by name.

    ``status`` is run.json's: "finished", "running", "failed" or "interrupted", ``versions`` those of the packages that it ran
    with. ``notes`` say what could not be read.
    """

    folder: Path
    recipe: Recipe
    content: Mapping[str, Any]
    status: str
    stages: Mapping[str, FinishedStage]
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def unfinished(self) -> list[str]:
        """The names of the stages that are not finished, in the recipe's order."""
        return [stage.name for stage in self.recipe.stages if stage.name not in self.stages]


@dataclass
class Runs:
    """Several runs, and what is to be told of them."""

    runs: list[ReadRun] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_runs(folders: Sequence[Path]) -> Runs:
    """Read runs; a sweep's folder stands for all its members. A run that is named twice is read once.

    Raises:
        UserError: a folder is none of a run or a sweep, or its recipe cannot be read.
    """
    found = Runs()
    known: set[Path] = set()
    for folder in folders:
        for member in _members(folder, found.notes) if (folder / _SWEEP).is_file() else [folder]:
            if member.resolve() not in known:
                known.add(member.resolve())
                run = read_run(member)
                found.runs.append(run)
                found.notes += [*run.notes, *_what_is_left(run)]
    if not found.runs:
        raise UserError("; ".join(found.notes) or "no run is given")
    return found


def read_run(folder: Path) -> ReadRun:
    """Read the folder of one run.

    Raises:
        UserError: it is none, or its recipe or run.json cannot be read.
    """
    if not (folder / _RUN).is_file():
        raise UserError(_why_no_run(folder))
    recipe = load_recipe(folder / _RECIPE)
    content = tomllib.loads(resolved_toml(recipe))
    described = as_table(read_json(folder / _RUN))
    stages: dict[str, FinishedStage] = {}
    notes: list[str] = []
    for stage in recipe.stages:
        if not (folder / stage.name / "stage.json").is_file():
            continue
        try:
            stages[stage.name] = _finished_stage(folder / stage.name)
        except DamagedError as error:
            notes.append(
                f"{error}; the stage counts as unfinished, and running the recipe again makes it anew"
            )
    status = str(described.get("status", "unknown"))
    versions = {str(name): str(of) for name, of in as_table(described.get("versions")).items()}
    return ReadRun(folder, recipe, content, status, stages, versions, tuple(notes))


def _finished_stage(folder: Path) -> FinishedStage:
    file = folder / "stage.json"
    record = read_object(file)
    results = record.get("results")
    if not isinstance(results, dict):
        raise DamagedError(f"{file}: has no results")
    return FinishedStage(folder.resolve(), str(record.get("fingerprint", folder.resolve())), results)


def _what_is_left(run: ReadRun) -> list[str]:
    if not run.unfinished:
        return []
    last = "; running its recipe again continues it" if run.status != "running" else ""
    return [f"{run.folder}: {run.status}; not finished: {', '.join(run.unfinished)}{last}"]


def _members(sweep: Path, notes: list[str]) -> list[Path]:
    """The folders of a sweep's members; those that have not begun are noted."""
    file = sweep / _SWEEP
    members = as_table(read_json(file)).get("members")
    if not isinstance(members, list) or not all(isinstance(as_table(m).get("run"), str) for m in members):
        raise UserError(f'{file}: must hold "members", each with the folder of its "run"')
    begun = []
    for member in members:
        folder = sweep / member["run"]
        if (folder / _RUN).is_file():
            begun.append(folder)
        else:
            values = ", ".join(f"{key} = {value}" for key, value in as_table(member.get("values")).items())
            notes.append(f"{sweep}: not begun: {values or member['run']}")
    return begun


def _why_no_run(folder: Path) -> str:
    if not folder.exists():
        return f"{folder}: there is no such folder"
    if not folder.is_dir():
        return f"{folder}: is a file; give the folder of a run"
    inside = sorted(f.parent.name for name in (_RUN, _SWEEP) for f in folder.glob(f"*/{name}"))
    if not inside:
        return f"{folder}: is no run: it has no {_RUN}"
    listed = ", ".join(inside[:_MANY]) + (f" and {len(inside) - _MANY} more" if len(inside) > _MANY else "")
    return f"{folder}: is no run, but holds some: {listed}; give these, or {folder}/*"
