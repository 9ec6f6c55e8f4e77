"""Finding the stage of a run whose trained model is meant: RUN, or RUN/STAGE. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kdzoo.errors import RunError, UserError
from kdzoo.recipe import Recipe
from kdzoo.recipe.stages import TrainingStage
from kdzoo.report.run_files import DamagedError, read_object
from kdzoo.report.runs_read import FinishedStage, ReadRun, read_run
from kdzoo.runs.listing import runs_in
from kdzoo.spelling import did_you_mean, hint

_RUN = "run.json"
_MODEL = "model"
_USUAL = Path("runs")


@dataclass(frozen=True)
class TrainedStage:
    """A finished stage that has left a model: the run that it is of, its recipe, and its own table there.

    ``folder`` is the stage's in the run; it may be a link to another run's. ``is_named``: it was asked for by its name.
    """

    run: ReadRun
    stage: TrainingStage
    folder: Path
    is_named: bool = True

    @property
    def recipe(self) -> Recipe:
        """The run's recipe, with all its defaults; its paths are whole ones."""
        return self.run.recipe

    @property
    def name(self) -> str:
        """What to call its model where it goes: after the recipe and the stage."""
        return f"{self.recipe.name}-{self.stage.name}"

    @property
    def finished(self) -> FinishedStage:
        """What the stage has recorded."""
        return self.run.stages[self.stage.name]

    @property
    def model(self) -> Path:
        """The folder of the model in Hugging Face format: a whole one, or an adapter."""
        return self.folder / _MODEL


def find_trained_stage(named: Path) -> TrainedStage:
    """Find what ``RUN/STAGE`` or its folder ``model`` names, or for a ``RUN`` alone its last stage that trains a model.

    Raises:
        UserError: there is no such run or stage, the stage trains no model, or the run's recipe cannot be read.
        RunError: the stage is not finished, or its model is gone.
    """
    folder, wanted = _run_and_stage(named)
    is_named = wanted is not None
    run = read_run(folder)
    stages = {stage.name: stage for stage in run.recipe.stages if stage.role is not None}
    names = [stage.name for stage in run.recipe.stages]
    if wanted is None:
        if not stages:
            raise UserError(f"{folder}: no stage of this run trains a model")
        wanted = list(stages)[-1]
    elif wanted not in names:
        raise UserError(f'{folder}: has no stage "{wanted}"{hint(wanted, names)}')
    elif wanted not in stages:
        raise UserError(f'{folder}: stage "{wanted}" trains no model{_listed("those that do are", stages)}')
    _check_finished(run, wanted, [name for name in stages if _has_model(run, name)])
    return TrainedStage(run, stages[wanted], folder / wanted, is_named)


def _run_and_stage(named: Path) -> tuple[Path, str | None]:
    if (named / _RUN).is_file():
        return named, None
    for stage in (named, *([named.parent] if named.name == _MODEL else [])):
        if (stage.parent / _RUN).is_file():
            return stage.parent, stage.name
    if named.exists():
        return named, None  # who reads it says what it is instead
    beside = _USUAL if named.parent == Path() else named.parent
    known = [str(run) for run in runs_in([beside])] if beside.is_dir() else []
    near = did_you_mean(str(beside / named.name), known)
    raise UserError(f"{named}: there is no such run{near or '; `kdzoo runs` lists those that there are'}")


def _check_finished(run: ReadRun, name: str, others: list[str]) -> None:
    """Raise where a stage has left no model.

    Raises:
        RunError: it is not finished, its record is damaged, or its model is gone.
    """
    folder = run.folder / name
    if name in run.stages:
        if _has_model(run, name):
            return
        reason = f"its model is gone: there is no folder {folder / _MODEL}"
    else:
        reason = "it is not finished"
        if folder.is_symlink() and not folder.exists():
            reason = f"it is another run's, which is gone: {folder.readlink()}"
        if (folder / "stage.json").is_file():
            try:
                read_object(folder / "stage.json")
                reason = "its stage.json has no results"
            except DamagedError as error:
                reason = f"its record is damaged: {error}"
    raise RunError(
        f'{run.folder}: stage "{name}" has left no model: {reason}; running the recipe again does it'
        + _listed("finished are", others)
    )


def _has_model(run: ReadRun, name: str) -> bool:
    return name in run.stages and (run.folder / name / _MODEL).is_dir()


def _listed(before: str, names: Iterable[str]) -> str:
    listed = ", ".join(names)
    return f"; {before}: {listed}" if listed else ""
