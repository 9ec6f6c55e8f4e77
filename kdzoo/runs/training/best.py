"""The weights of a training's best score, as long as the training goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from kdzoo.errors import RunError
from kdzoo.files import new_folder

_NAME = "best-"


def best_of(scores: Mapping[int, float | None]) -> int | None:
    """The step of the highest score, None if there is none. ``scores`` are by step.

    Of equal ones it is the latest: where a score tells nothing, as one that stays at 0, the last weights are the trained ones.
    """
    known = {step: score for step, score in scores.items() if score is not None}
    return max(known, key=lambda step: (known[step], step), default=None)


class BestWeights:
    """Keeps models by the steps that they were saved after, in folders of their own beside the checkpoints.

    The best up to the last checkpoint stays beside a better one that came later: a start that continues from the checkpoint
    takes those later steps anew, and need not come to the same score.
    """

    def __init__(self, folder: Path, save: Callable[[Path], None]) -> None:
        self._folder = folder
        self._save = save

    def keep(self, step: int) -> None:
        """Save the model as it is after a step."""
        with new_folder(self._path(step)) as temporary:
            self._save(temporary)

    def forget_all_but(self, *steps: int | None) -> None:
        """Remove the models of all other steps."""
        for path in self._folder.glob(f"{_NAME}*"):
            if path not in {self._path(step) for step in steps if step is not None}:
                shutil.rmtree(path)

    def move_to(self, step: int, model: Path) -> None:
        """Let the folder ``model`` be that of a step. Where an earlier start has moved it, it stays as it is.

        Raises:
            RunError: somebody has removed it.
        """
        if self._path(step).is_dir():
            shutil.rmtree(model, ignore_errors=True)
            self._path(step).rename(model)
        elif not model.is_dir():
            raise RunError(f"{self._path(step)} is gone; remove {self._folder} to train anew")

    def _path(self, step: int) -> Path:
        return self._folder / f"{_NAME}{step}"
