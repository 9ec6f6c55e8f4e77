"""Telling how a run goes: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

# Plain lines are for logs: few enough to read.
_PLAIN_INTERVAL_SECONDS = 15.0


@dataclass
class Reporter:
    """Reports stages and their progress to a console."""

    console: Console = field(default_factory=Console)
    quiet: bool = False
    _progress: Progress | None = None
    _task: TaskID | None = None
    _name: str = ""
    _total: int = 0
    _last_line: float = 0.0
    _begin: float = 0.0
    _done_before: int | None = None

    def say(self, message: str) -> None:
        """Print one line, unless quiet."""
        if self.quiet:
            return
        self.console.print(message, highlight=False, markup=False, soft_wrap=True)

    def start(self, name: str, total: int, done: int = 0) -> None:
        """Begin a stage (or a part of one) of so many steps, of which an earlier start has done some."""
        self.stop()
        self._name, self._total, self._done_before = name, total, None
        self._begin = self._last_line = time.monotonic()
        if self.console.is_terminal and not self.quiet:
            self._progress = Progress(
                TextColumn("[bold]{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[numbers]}"),
                TimeRemainingColumn(),
                console=self.console,
            )
            self._progress.start()
            self._task = self._progress.add_task(name, total=total, completed=done, numbers="")
        else:
            self.say(f"{name}: {done}/{total}")

    def advance(self, done: int, numbers: str = "") -> None:
        """Say how many steps are done, and what to show beside them (loss, tokens/s).

        An earlier start may have done what the first call says: the time left is told from the second on.
        """
        now = time.monotonic()
        first = self._done_before is None
        if self._done_before is None:
            self._begin, self._done_before = now, done
        if self._progress is not None and self._task is not None:
            if first:
                self._progress.reset(self._task, completed=done, numbers=numbers)
            self._progress.update(self._task, completed=done, numbers=numbers)
        elif now - self._last_line >= _PLAIN_INTERVAL_SECONDS:
            self._last_line = now
            parts = [f"{self._name}: {done}/{self._total}", numbers]
            if done > self._done_before:
                left = (now - self._begin) / (done - self._done_before) * (self._total - done)
                parts.append(f"{left:.0f} s left")
            self.say("  ".join(part for part in parts if part))

    def stop(self) -> None:
        """End the current stage's display."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._task = None
