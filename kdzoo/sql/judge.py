"""Verdicts on predicted SQL: each statement is run in the sandbox and compared with the gold query's result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from kdzoo.sql.limits import Limits
from kdzoo.sql.sandbox import Worker, WorkerDied, WorkerHung

Metric = Literal["ex", "ts", "bird-ex"]

TIMEOUT = "timeout"


@dataclass(frozen=True)
class Item:
    """One prediction to judge; ``database`` is the database's own SQLite file."""

    gold: str
    prediction: str
    database: Path


@dataclass(frozen=True)
class Verdict:
    """``reason`` says why a prediction failed to run (None: it ran); ``gold_error`` that the gold query did."""

    right: bool
    reason: str | None = None
    gold_error: str | None = None


class Judge:
    """Judges predictions in ``workers`` processes. A context manager: leaving it ends the processes."""

    def __init__(self, limits: Limits | None = None, workers: int = 2, *, official_quirks: bool = False) -> None:
        self._limits = limits or Limits()
        self._workers = [Worker(self._limits) for _ in range(workers)]
        self._quirks = official_quirks

    def __enter__(self) -> Judge:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.stop()

    @property
    def worker_pids(self) -> list[int]:
        """The numbers of the processes that run at the moment."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def judge(
        self, items: Sequence[Item], metric: Metric, progress: Callable[[int], None] | None = None
    ) -> list[Verdict]:
        """Give one verdict per item, in their order.

        ``ex`` and ``ts`` are Spider's execution and test-suite accuracy, ``bird-ex`` BIRD's. ``progress`` is called
        with the number of items done.
        """
        requests = [self._request(item, metric) for item in items]
        verdicts: list[Verdict | None] = [None] * len(items)
        slow: list[int] = []
        lock = threading.Lock()
        done = 0

        def first(index: int, worker: Worker) -> None:
            nonlocal done
            verdict, is_slow = self._ask(worker, requests[index], self._limits.first_steps)
            with lock:
                verdicts[index] = verdict
                done += 1
                if is_slow:
                    slow.append(index)
                if progress is not None:
                    progress(done)

        self._share_out(range(len(items)), first)
        give_up = time.monotonic() + self._limits.patience

        def second(index: int, worker: Worker) -> None:
            if time.monotonic() < give_up:
                verdicts[index] = self._ask(worker, requests[index], 0)[0]

        self._share_out(sorted(slow), second)
        return [verdict for verdict in verdicts if verdict is not None]

    def _request(self, item: Item, metric: Metric) -> dict[str, object]:
        databases = suite_of(item.database) if metric == "ts" else [item.database]
        return {
            "rule": "bird" if metric == "bird-ex" else "spider",
            "gold": item.gold,
            "prediction": item.prediction,
            "databases": [str(path) for path in databases],
            "quirks": self._quirks,
        }

    def _ask(self, worker: Worker, request: dict[str, object], steps: int) -> tuple[Verdict, bool]:
        """Get a verdict; a worker that dies gets one more try."""
        databases = request["databases"]
        assert isinstance(databases, list)
        seconds = self._limits.seconds * (1 + len(databases))
        for _ in range(2):
            try:
                answer = worker.ask({**request, "steps": steps}, seconds)
            except WorkerDied:
                continue
            except WorkerHung:
                return Verdict(False, TIMEOUT), False
            return Verdict(answer["right"], answer["reason"], answer["gold_error"]), answer["slow"]
        return Verdict(False, "worker died"), False

    def _share_out(self, indices: Iterable[int], work: Callable[[int, Worker], None]) -> None:
        """Let every worker take the next index until none is left. The first error ends it and is raised."""
        remaining = iter(indices)
        lock = threading.Lock()
        errors: list[BaseException] = []

        def loop(worker: Worker) -> None:
            while not errors:
                with lock:
                    index = next(remaining, None)
                if index is None:
                    return
                try:
                    work(index, worker)
                except BaseException as error:
                    errors.append(error)

        threads = [threading.Thread(target=loop, args=(worker,), daemon=True) for worker in self._workers]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException as error:  # Ctrl-C: let the workers' current statements be their last
            errors.append(error)
            for worker in self._workers:
                worker.stop()
            raise
        if errors:
            raise errors[0]


def suite_of(database: Path) -> list[Path]:
    """All databases of a test suite: every file beside the database whose name contains ``.sqlite``."""
    try:
        return sorted(path for path in database.parent.iterdir() if ".sqlite" in path.name) or [database]
    except OSError:
        return [database]
