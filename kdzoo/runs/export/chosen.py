"""Which model of a run is meant: a stage's, or that of the last one that trains."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kdzoo.errors import UserError
from kdzoo.recipe import TrainingStage
from kdzoo.report.runs_read import FinishedStage, ReadRun, read_run
from kdzoo.spelling import hint

_RUN = "run.json"
MODEL = "model"


@dataclass(frozen=True)
class Chosen:
    """A model that a stage of a run has trained. ``is_named``: it was asked for by the stage's name."""

    run: ReadRun
    stage: TrainingStage
    finished: FinishedStage
    is_named: bool

    @property
    def model(self) -> Path:
        """The folder of the model or its adapter."""
        return self.finished.folder / MODEL

    @property
    def name(self) -> str:
        """What to call it where it goes: after its recipe and its stage."""
        return f"{self.run.recipe.name}-{self.stage.name}"


def choose(path: Path) -> Chosen:
    """Find the model that RUN or RUN/STAGE means; RUN alone is its last stage that trains.

    Raises:
        UserError: there is no such run or stage, the stage trains nothing, or it is not finished.
    """
    folder, stage = _split(Path(os.path.abspath(path)), path)
    run = read_run(folder)
    training = {one.name: one for one in run.recipe.stages if one.role is not None}
    if not training:
        raise UserError(f"{folder}: no stage of its recipe trains a model")
    name = next(reversed(training)) if stage is None else stage
    if name not in training:
        raise UserError(_why_no_model(run, name, list(training)))
    finished = run.stages.get(name)
    if finished is None or not (finished.folder / MODEL).is_dir():
        done = [other for other in training if other in run.stages]
        others = f"; finished are: {', '.join(done)}" if done else ""
        raise UserError(
            f"{folder}: stage {name!r} is not finished; running its recipe again continues it{others}"
        )
    return Chosen(run, training[name], finished, stage is not None)


def _split(whole: Path, given: Path) -> tuple[Path, str | None]:
    """The run's folder, as it is given, and the name of the stage after it, if there is one."""
    if (whole / _RUN).is_file():
        return given, None
    for stage, above in ((whole.name, given.parent), (whole.parent.name, given.parent.parent)):
        if (above / _RUN).is_file() and (stage == whole.name or whole.name == MODEL):
            return above, stage
    return given, None


def _why_no_model(run: ReadRun, name: str, training: list[str]) -> str:
    those = f"those that leave a model: {', '.join(training)}"
    if name in [stage.name for stage in run.recipe.stages]:
        return f"{run.folder}: stage {name!r} evaluates, and leaves no model; {those}"
    return f"{run.folder}: there is no stage {name!r}{hint(name, training)}; {those}"
