"""Ways to run SQL that nobody vouches for. kdzoo's own is a sandbox of processes around SQLite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kdzoo.tasks.sql.judge import Item, Judge, Verdict
from kdzoo.tasks.sql.limits import ExecutionMetric, Limits
from kdzoo.tasks.sql.outlook import Outlook
from kdzoo.tasks.sql.request import Answer
from kdzoo.tasks.sql.row_reader import RowReader


class SqlJudge(Protocol):
    """Gives verdicts on predicted SQL, in the order of the items; see `kdzoo.tasks.sql.judge.Judge`."""

    def judge(
        self,
        items: Sequence[Item],
        metric: ExecutionMetric,
        progress: Callable[[int], None] | None = None,
        tell: Callable[[Outlook], None] | None = None,
    ) -> list[Verdict]: ...


class SqlRowReader(Protocol):
    """Runs single statements to see their rows; see `kdzoo.tasks.sql.row_reader.RowReader`."""

    def run(self, statement: str, database: Path, most_rows: int) -> Answer: ...


@dataclass(frozen=True, kw_only=True)
class SqlExecutor:
    """One way to run SQL, found by its name in the entry-point group ``kdzoo.sql_executors``.

    ``open`` takes a metric and the seconds that a statement may take (None: the metric's own), and gives a judge for as
    long as a block runs. ``open_rows`` takes the same and gives what `kdzoo chat` shows rows by; unless given, it shows none.
    """

    name: str
    summary: str
    open: Callable[[ExecutionMetric, float | None], AbstractContextManager[SqlJudge]]
    open_rows: Callable[[ExecutionMetric, float | None], AbstractContextManager[SqlRowReader]] | None = None


def _sandbox(metric: ExecutionMetric, seconds: float | None) -> Judge:
    return Judge(Limits.of(metric, seconds))


def _rows(metric: ExecutionMetric, seconds: float | None) -> RowReader:
    return RowReader(Limits.of(metric, seconds))


SQLITE = SqlExecutor(
    name="sqlite", summary="SQLite, in a sandbox of processes of its own", open=_sandbox, open_rows=_rows
)
