"""Verdicts on predicted SQL: statements run in the sandbox, and their results are compared there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeVar

from kdzoo.sql.budget import FirstTries, FurtherTries
from kdzoo.sql.limits import Limits
from kdzoo.sql.request import Answer, Request, Rule
from kdzoo.sql.sandbox import Worker, WorkerDiedError
from kdzoo.sql.suite import suite_of

Metric = Literal["ex", "ts", "bird-ex"]

WORKER_DIED = "worker died"

# How many predictions on one gold query a worker takes at once.
_LONGEST_RUN = 20

_Task = TypeVar("_Task")


@dataclass(frozen=True)
class Item:
    """One prediction to judge; ``database`` is the database's own SQLite file."""

    gold: str
    prediction: str
    database: Path


@dataclass(frozen=True)
class Verdict:
    """``reason`` says why a prediction failed to run (None: it ran); ``gold_error`` why the gold query did.

    Reasons are SQLite's messages, "timeout", "out of memory", "result too large", "not allowed: ...",
    "worker died" and the like. Where ``gold_error`` is set nothing can be said of the prediction: ``right``
    is False, ``reason`` None.
    """

    right: bool
    reason: str | None = None
    gold_error: str | None = None


class Judge:
    """Judges predictions in ``workers`` processes. A context manager: leaving it ends the processes.

        with Judge() as judge:
            verdicts = judge.judge([Item(gold, prediction, database)], "ex")

    ``limits`` are by default the metric's own: ``Limits()`` for Spider, ``Limits.of_bird()`` for BIRD.
    ``official_quirks``: predictions are changed as the official Spider command changes them.
    """

    def __init__(
        self, limits: Limits | None = None, workers: int = 2, *, official_quirks: bool = False
    ) -> None:
        self._limits = limits
        self._workers = [Worker() for _ in range(workers)]
        self._quirks = official_quirks

    def __enter__(self) -> Judge:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.close()

    @property
    def worker_pids(self) -> list[int]:
        """The numbers of the worker processes that run at the moment."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def judge(
        self, items: Sequence[Item], metric: Metric, progress: Callable[[int], None] | None = None
    ) -> list[Verdict]:
        """Give one verdict per item, in their order.

        ``ex`` and ``ts`` are Spider's execution and test-suite accuracy, ``bird-ex`` BIRD's. ``progress`` is
        called with the number of items that have been tried, from other threads but one call at a time.

        Raises:
            RunError: no worker process can be started.
        """
        limits = self._limits or (Limits.of_bird() if metric == "bird-ex" else Limits())
        suites = {item.database: suite_of(item.database) for item in items} if metric == "ts" else {}
        rule: Rule = "bird" if metric == "bird-ex" else "spider"
        answers: list[Answer] = [Answer(False)] * len(items)

        def ask(index: int, worker: Worker, steps: int, cpu_seconds: float, seconds: float) -> None:
            item = items[index]
            request = Request(
                rule=rule,
                gold=item.gold,
                prediction=item.prediction,
                databases=[str(file) for file in suites.get(item.database, [item.database])],
                quirks=self._quirks,
                steps=steps,
                cpu_seconds=cpu_seconds,
                wall_seconds=seconds,
                limits=limits,
            )
            answers[index] = _ask(worker, request)

        databases = sum(len(suites.get(item.database, [1])) for item in items) / max(1, len(items))
        begin = time.monotonic()
        self._first_tries(items, FirstTries(limits, len(self._workers), databases), limits, ask, progress)
        further = FurtherTries(limits, databases, time.monotonic() - begin)
        for steps, seconds in further.rounds():

            def again(index: int, worker: Worker, steps: int = steps, seconds: float = seconds) -> None:
                left = further.left()
                if left > 0:
                    ask(index, worker, steps, min(seconds, left), min(limits.seconds, left))

            self._share_out([index for index, answer in enumerate(answers) if answer.slow], again)
        return [Verdict(answer.right, answer.reason, answer.gold_error) for answer in answers]

    def _first_tries(
        self,
        items: Sequence[Item],
        tries: FirstTries,
        limits: Limits,
        ask: Callable[[int, Worker, int, float, float], None],
        progress: Callable[[int], None] | None,
    ) -> None:
        lock = threading.Lock()
        done = 0

        def first(indices: Sequence[int], worker: Worker) -> None:
            nonlocal done
            for index in indices:
                with tries.one() as cpu_seconds:
                    ask(index, worker, limits.first_steps, cpu_seconds, limits.seconds)
                with lock:
                    done += 1
                    if progress is not None:
                        progress(done)

        self._share_out(_runs(items), first)

    def _share_out(self, tasks: Iterable[_Task], work: Callable[[_Task, Worker], None]) -> None:
        """Let every worker take the next task until none is left. The first error ends it and is raised."""
        remaining = iter(tasks)
        lock = threading.Lock()
        errors: list[BaseException] = []

        def loop(worker: Worker) -> None:
            while not errors:
                with lock:
                    task = next(remaining, None)
                if task is None:
                    return
                try:
                    work(task, worker)
                except BaseException as error:
                    errors.append(error)

        threads = [threading.Thread(target=loop, args=(worker,), daemon=True) for worker in self._workers]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except (
            BaseException
        ) as error:  # Ctrl-C: leaving the context kills the workers, and so ends the threads
            errors.append(error)
            raise
        if errors:
            raise errors[0]


def _runs(items: Sequence[Item]) -> list[Sequence[int]]:
    """Neighbours with the same gold query, not too many at once: one worker then runs it once."""
    keys = [(item.database, item.gold) for item in items]
    runs = [list(run) for _, run in groupby(range(len(items)), key=keys.__getitem__)]
    return [run[start : start + _LONGEST_RUN] for run in runs for start in range(0, len(run), _LONGEST_RUN)]


def _ask(worker: Worker, request: Request) -> Answer:
    """Get an answer; a statement whose worker dies gets one more try."""
    for _ in range(2):
        try:
            return worker.ask(request)
        except WorkerDiedError:
            continue
    return Answer(False, reason=WORKER_DIED)
