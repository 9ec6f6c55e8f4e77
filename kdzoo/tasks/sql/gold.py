"""Results of gold queries, kept while they are likely to be asked for again. Used inside the sandbox only."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from kdzoo.tasks.sql.execute import Allowance, Row, StatementError, TextFactory, executing
from kdzoo.tasks.sql.limits import Limits
from kdzoo.tasks.sql.timers import SetTimer

_MOST_KEPT = 256
_MOST_ROWS_KEPT = 200_000

Result = TypeVar("Result", bound=Sized)


@dataclass(frozen=True)
class GoldResult(Generic[Result]):
    """What was read of a gold query's rows, and the seconds of CPU time that SQLite took for them."""

    content: Result
    seconds: float


class GoldResults(Generic[Result]):
    """Runs gold queries. The latest results are kept, failures too; the very latest always.

    ``text`` makes a value of a text's bytes, ``read`` makes of the rows what is to be kept.
    """

    def __init__(self, text: TextFactory, read: Callable[[Iterable[Row]], Result]) -> None:
        self._text = text
        self._read = read
        self._kept: OrderedDict[tuple[str, str], GoldResult[Result] | StatementError] = OrderedDict()
        self._rows = 0

    def get(self, database: str, query: str, limits: Limits, set_timer: SetTimer) -> GoldResult[Result]:
        """Give a gold query's result.

        Raises:
            StatementError: it has none.
        """
        key = (database, query)
        if key in self._kept:
            self._kept.move_to_end(key)
            kept = self._kept[key]
        else:
            kept = self._kept[key] = self._run(database, query, limits, set_timer)
            self._rows += _size(kept)
        while len(self._kept) > 1 and (len(self._kept) > _MOST_KEPT or self._rows > _MOST_ROWS_KEPT):
            self._rows -= _size(self._kept.popitem(last=False)[1])
        if isinstance(kept, StatementError):
            raise StatementError(kept.reason)
        return kept

    def _run(
        self, database: str, query: str, limits: Limits, set_timer: SetTimer
    ) -> GoldResult[Result] | StatementError:
        allowance = Allowance(0, limits.seconds, limits.reading_seconds, set_timer)
        try:
            with executing(Path(database), query, limits, allowance, self._text) as rows:
                return GoldResult(self._read(rows), rows.seconds)
        except StatementError as failure:
            return failure


def _size(kept: GoldResult[Result] | StatementError) -> int:
    return len(kept.content) if isinstance(kept, GoldResult) else 0
