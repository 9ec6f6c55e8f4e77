"""A verdict by BIRD's rules (Li et al. 2023). Used inside the sandbox only."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from kdzoo.tasks.sql.compare import equal_as_sets
from kdzoo.tasks.sql.digest import distinct_rows
from kdzoo.tasks.sql.execute import TIMEOUT, Allowance, StatementError, executing
from kdzoo.tasks.sql.gold import GoldResults
from kdzoo.tasks.sql.request import Answer, Request
from kdzoo.tasks.sql.timers import gold_timer, prediction_timer

# Text as the official program reads it: what is not UTF-8 is an error.
decode = str


def new_gold_results() -> GoldResults[Set[int]]:
    """What the gold queries of one process give, as ``judge`` needs it."""
    return GoldResults(decode, distinct_rows)


def judge(request: Request, gold_results: GoldResults[Set[int]]) -> Answer:
    """Right if the sets of rows are equal. Both queries share one time limit."""
    limits = request.limits
    (database,) = request.databases
    try:
        with gold_timer(limits.seconds) as set_timer:
            gold = gold_results.get(database, request.gold, limits, set_timer)
    except StatementError as failure:
        return Answer(False, gold_error=f"{Path(database).name}: {failure.reason}")
    left = min(request.seconds, limits.seconds - gold.seconds)
    if left <= 0:
        return Answer(False, reason=TIMEOUT, slow=True)
    try:
        with prediction_timer(left) as set_timer:
            allowance = Allowance(request.steps, left, limits.reading_seconds, set_timer)
            with executing(Path(database), request.prediction, limits, allowance, decode) as rows:
                return Answer(equal_as_sets(gold.content, rows))
    except StatementError as failure:
        # never "barren": what is left for it depends on the gold query
        return Answer(False, reason=failure.reason, slow=failure.slow)
