"""Running statements to see their rows, in a sandbox as they are judged in."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from kdzoo.tasks.sql.journals import settled
from kdzoo.tasks.sql.judge import WORKER_DIED
from kdzoo.tasks.sql.limits import Limits
from kdzoo.tasks.sql.request import Answer, Request
from kdzoo.tasks.sql.sandbox import Worker, WorkerDiedError


class RowReader:
    """Runs statements in a process of its own. A context manager: leaving it ends the process.

    with RowReader(Limits.of("ex")) as reader:
        answer = reader.run("SELECT 1", database, most_rows=20)
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._worker = Worker()

    def __enter__(self) -> RowReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._worker.close()

    def run(self, statement: str, database: Path, most_rows: int) -> Answer:
        """Run a statement on a SQLite file, of which nothing is changed: ``result``, or the ``reason`` why there is none.

        Raises:
            RunError: no process can be started, or the database's journals cannot be read.
        """
        with settled(database) as file:
            request = Request(
                rule="show",
                gold="",
                prediction=statement,
                databases=[str(file)],
                quirks=False,
                steps=self._limits.steps,
                seconds=self._limits.seconds,
                limits=self._limits,
                most_rows=most_rows,
            )
            for _ in range(2):  # that someone kills the process says nothing of the statement
                try:
                    return self._worker.ask(request)
                except WorkerDiedError:
                    continue
        return Answer(False, reason=WORKER_DIED)
