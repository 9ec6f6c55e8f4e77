"""A verdict by BIRD's rules (Li et al. 2023). Used inside the sandbox only."""

from __future__ import annotations

from pathlib import Path

from kdzoo.sql.compare import equal_as_sets
from kdzoo.sql.execute import Allowance, StatementError, executing
from kdzoo.sql.gold import GoldResults
from kdzoo.sql.request import Answer, Request
from kdzoo.sql.timers import gold_timer, prediction_timer

# Text as the official program reads it: what is not UTF-8 is an error.
decode = str


def judge(request: Request, gold_results: GoldResults) -> Answer:
    """Right if the sets of rows are equal. Both queries share one time limit."""
    limits = request.limits
    (database,) = request.databases
    try:
        with gold_timer(limits.seconds + 1):
            gold = gold_results.get(database, request.gold, limits)
    except StatementError as failure:
        return Answer(False, gold_error=f"{Path(database).name}: {failure.reason}")
    left = max(0.0, min(request.wall_seconds, limits.seconds - gold.seconds))
    allowance = Allowance(request.steps, left)
    try:
        with (
            prediction_timer(request.cpu_seconds, left + 1),
            executing(Path(database), request.prediction, limits, allowance, decode) as rows,
        ):
            return Answer(equal_as_sets(gold.rows, rows))
    except StatementError as failure:
        return Answer(False, reason=failure.reason, slow=failure.slow)
