"""Ways to run SQL that nobody vouches for. kdzoo's own is a sandbox of processes around SQLite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from kdzoo.tasks.sql.judge import Item, Judge, Verdict
from kdzoo.tasks.sql.limits import ExecutionMetric, Limits
from kdzoo.tasks.sql.outlook import Outlook


class SqlJudge(Protocol):
    """Gives verdicts on predicted SQL, in the order of the items; see `kdzoo.tasks.sql.judge.Judge`."""

    def judge(
        self,
        items: Sequence[Item],
        metric: ExecutionMetric,
        progress: Callable[[int], None] | None = None,
        tell: Callable[[Outlook], None] | None = None,
    ) -> list[Verdict]: ...


@dataclass(frozen=True, kw_only=True)
class SqlExecutor:
    """One way to run SQL, found by its name in the entry-point group ``kdzoo.sql_executors``.

    ``open`` takes a metric and the seconds that a statement may take (None: the metric's own), and gives a judge for as
    long as a block runs.
    """

    name: str
    summary: str
    open: Callable[[ExecutionMetric, float | None], AbstractContextManager[SqlJudge]]


def _sandbox(metric: ExecutionMetric, seconds: float | None) -> Judge:
    return Judge(Limits.of(metric, seconds))


SQLITE = SqlExecutor(name="sqlite", summary="SQLite, in a sandbox of processes of its own", open=_sandbox)
