"""``--fresh``: which stages of a run are to be done anew although they are finished, and what they were until they are."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kdzoo.files import write_json

_FILE = "fresh.json"
_BEFORE = ".before"


def new_mark() -> str:
    """A mark for all that one command does anew."""
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Fresh:
    """What is still to be done anew in the folder of a run: its ``stages``. What has been since then has the ``mark``.

    It stands in a file, so that a start that is interrupted is continued, not begun anew.
    """

    run: Path
    mark: str = ""
    stages: tuple[str, ...] = ()

    @classmethod
    def of(cls, run: Path) -> Fresh:
        """What the folder of a run says; nothing if it cannot be read."""
        try:
            content = json.loads((run / _FILE).read_text(encoding="utf-8"))
            return cls(run, str(content["mark"]), tuple(map(str, content["stages"])))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(run)

    @classmethod
    def ask(cls, run: Path, stages: Iterable[str], mark: str) -> None:
        """Ask for all these stages anew. Nothing that is finished is removed before its like is there."""
        write_json(run / _FILE, {"mark": mark, "stages": list(stages)})

    def mark_of(self, stage: str) -> str | None:
        """The mark that a stage must have to count as finished or begun; None if any will do."""
        return self.mark if stage in self.stages else None

    def put_aside(self, stage: str) -> None:
        """Keep a finished stage until the new one is."""
        before = self._before(stage)
        shutil.rmtree(before, ignore_errors=True)
        (self.run / stage).rename(before)

    def is_done(self, stage: str) -> None:
        """A stage is there anew: what it was is removed."""
        if stage in self.stages:
            left = [name for name in self.stages if name != stage]
            if left:
                write_json(self.run / _FILE, {"mark": self.mark, "stages": left})
            else:
                (self.run / _FILE).unlink()
        shutil.rmtree(self._before(stage), ignore_errors=True)

    def settle(self) -> None:
        """Bring in order what a killed process has left between two of these: nothing is kept twice, or only aside."""
        for before in self.run.glob(f".*{_BEFORE}"):
            stage = self.run / before.name.removeprefix(".").removesuffix(_BEFORE)
            if stage.name in self.stages:
                continue
            if (stage / "stage.json").is_file():  # done anew, here or by the run that it is a link to
                shutil.rmtree(before)
                continue
            if stage.is_symlink():
                stage.unlink()
            elif stage.exists():
                shutil.rmtree(stage)
            before.rename(stage)

    def _before(self, stage: str) -> Path:
        return self.run / f".{stage}{_BEFORE}"
