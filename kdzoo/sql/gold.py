"""Results of gold queries, kept while they are likely to be asked for again. Used inside the sandbox only."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from kdzoo.sql.execute import Allowance, Row, TextFactory, executing
from kdzoo.sql.limits import Limits

_MOST_KEPT = 256
_MOST_ROWS_KEPT = 200_000


@dataclass(frozen=True)
class GoldResult:
    """The rows of a gold query and the seconds that it took."""

    rows: list[Row]
    seconds: float


class GoldResults:
    """Runs gold queries. The latest results are kept; the very latest always."""

    def __init__(self, text: TextFactory) -> None:
        self._text = text
        self._kept: OrderedDict[tuple[str, str], GoldResult] = OrderedDict()
        self._rows = 0

    def get(self, database: str, query: str, limits: Limits) -> GoldResult:
        """Give a gold query's result.

        Raises:
            StatementError: it has none.
        """
        key = (database, query)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        begin = time.monotonic()
        with executing(Path(database), query, limits, Allowance(0, limits.seconds), self._text) as rows:
            result = GoldResult(list(rows), time.monotonic() - begin)
        self._kept[key] = result
        self._rows += len(result.rows)
        while len(self._kept) > 1 and (len(self._kept) > _MOST_KEPT or self._rows > _MOST_ROWS_KEPT):
            self._rows -= len(self._kept.popitem(last=False)[1].rows)
        return result
