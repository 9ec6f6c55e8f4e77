"""Verdicts on predicted SQL: statements run in the sandbox, and their results are compared there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count, groupby
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from kdzoo.tasks.sql.journals import settled
from kdzoo.tasks.sql.limits import ExecutionMetric, Limits
from kdzoo.tasks.sql.outlook import Outlook
from kdzoo.tasks.sql.request import Answer, Request, Rule
from kdzoo.tasks.sql.sandbox import Worker, WorkerDiedError
from kdzoo.tasks.sql.suite import suite_of

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

    Reasons are SQLite's messages, "timeout", "out of memory", "not allowed: ...", "worker died" and the like. Where ``gold_error`` is set nothing can be said of the prediction: ``right``
    is False, as the official programs count it, and ``reason`` None.
    """

    right: bool
    reason: str | None = None
    gold_error: str | None = None


class Judge:
    """Judges predictions in ``workers`` processes. A context manager: leaving it ends the processes.

        with Judge() as judge:
            verdicts = judge.judge([Item(gold, prediction, database)], "ex")

    ``limits`` are by default the metric's own (`Limits.of`).
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
        self,
        items: Sequence[Item],
        metric: ExecutionMetric,
        progress: Callable[[int], None] | None = None,
        tell: Callable[[Outlook], None] | None = None,
    ) -> list[Verdict]:
        """Give one verdict per item, in their order. None depends on another item or on the machine's load.

        ``ex`` and ``ts`` are Spider's execution and test-suite accuracy, ``bird-ex`` BIRD's. ``progress`` is
        called with the number of items that have their verdict, from other threads but one call at a time.
        ``tell`` is called, where some items need more than a first try, with what they may take together.

        Raises:
            RunError: no worker process can be started, or a database's journals cannot be read.
        """
        limits = self._limits or Limits.of(metric)
        suites = {
            item.database: suite_of(item.database) if metric == "ts" else [item.database] for item in items
        }
        with ExitStack() as copies:
            files = {
                database: [str(copies.enter_context(settled(file))) for file in suite]
                for database, suite in suites.items()
            }
            rule: Rule = "bird" if metric == "bird-ex" else "spider"
            requests = [
                Request(
                    rule=rule,
                    gold=item.gold,
                    prediction=item.prediction,
                    databases=files[item.database],
                    quirks=self._quirks,
                    steps=limits.first_steps,
                    seconds=limits.first_seconds,
                    limits=limits,
                )
                for item in items
            ]
            answers = self._answers(requests, _runs(items), limits, progress or _ignore, tell or _ignore)
        return [Verdict(answer.right, answer.reason, answer.gold_error) for answer in answers]

    def _answers(
        self,
        requests: Sequence[Request],
        runs: list[list[int]],
        limits: Limits,
        progress: Callable[[int], None],
        tell: Callable[[Outlook], None],
    ) -> list[Answer]:
        """Try each of the requests; then again, with the full limits, those that were too slow."""
        answers: list[Answer] = [Answer(False)] * len(requests)
        done = count()
        lock = threading.Lock()

        def note(index: int, answer: Answer, *, final: bool) -> None:
            answers[index] = answer
            if final:
                with lock:
                    progress(next(done) + 1)

        def first(indices: Sequence[int], worker: Worker) -> None:
            for index in indices:
                answer = _ask(worker, requests[index])
                note(index, answer, final=not answer.slow)

        def again(indices: Sequence[int], worker: Worker) -> None:
            answer = Answer(False)
            for index in indices:
                # it gave no row in all its time: nor will it for another gold query
                if not answer.barren:
                    request = replace(requests[index], steps=limits.steps, seconds=limits.seconds)
                    answer = _ask(worker, request)
                note(index, answer, final=True)

        self._share_out(runs, first)
        slow = [index for index, answer in enumerate(answers) if answer.slow]
        same: dict[tuple[str, str], list[int]] = {}
        for index in slow:
            request = requests[index]
            same.setdefault((request.databases[0], request.prediction), []).append(index)
        if slow:
            databases = sum(len(requests[index].databases) for index in slow)
            most = databases * limits.seconds
            workers = len(self._workers)
            tell(Outlook(len(slow), len(requests), limits.first_seconds, limits.seconds, most, workers))
        self._share_out(same.values(), again)
        return answers

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


def _ignore(_: object) -> None:
    """Nobody has asked to be told."""


def _runs(items: Sequence[Item]) -> list[list[int]]:
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
