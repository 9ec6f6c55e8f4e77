"""The seconds that a part of a stage took, over all its starts."""

from __future__ import annotations

import time
from pathlib import Path

from kdzoo.files import write_text

_INTERVAL_SECONDS = 10.0


class Clock:
    """Adds up seconds in a file, over all starts of a stage, however they ended. This start's count from its making."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin = self._kept = time.monotonic()
        try:
            self._earlier = float(path.read_text())
        except (OSError, ValueError):
            self._earlier = 0.0

    def leave_out(self, seconds: float) -> None:
        """So many seconds that have just passed do not count."""
        self._begin += seconds

    def keep(self) -> None:
        """Write the seconds up to now from time to time, for a start that is killed."""
        if time.monotonic() - self._kept >= _INTERVAL_SECONDS:
            self.stop()

    def stop(self) -> float:
        """Write and give the seconds up to now."""
        self._kept = time.monotonic()
        total = self._earlier + self._kept - self._begin
        write_text(self._path, f"{total}\n")
        return total
