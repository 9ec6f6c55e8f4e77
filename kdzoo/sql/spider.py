"""A verdict by Spider's rules (test-suite-sql-eval, Zhong et al. 2020). Used inside the sandbox only."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from kdzoo.sql.compare import spider_equal
from kdzoo.sql.execute import Allowance, Row, StatementError, check_text, executing
from kdzoo.sql.gold import GoldResults
from kdzoo.sql.normalize import as_the_official_command, normalize, order_matters
from kdzoo.sql.request import Answer, Request
from kdzoo.sql.timers import gold_timer, prediction_timer


def decode(raw: bytes) -> str:
    """Text as the official program reads it: bytes that are not UTF-8 are passed over."""
    return raw.decode("utf-8", errors="ignore")


def judge(request: Request, gold_results: GoldResults) -> Answer:
    """Right if the results are equal on every database; a gold query that fails is an error."""
    limits = request.limits
    try:
        with gold_timer(limits.seconds):
            check_text(request.gold, limits)
            gold = normalize(request.gold)
    except (ValueError, StatementError) as error:
        return Answer(False, gold_error=str(error))
    try:
        with prediction_timer(request.cpu_seconds, request.wall_seconds):
            check_text(request.prediction, limits)
            prediction = normalize(
                as_the_official_command(request.prediction) if request.quirks else request.prediction
            )
    except (ValueError, StatementError) as error:
        return Answer(False, reason=str(error))
    ordered = order_matters(gold)
    for database in request.databases:
        try:
            # the timer is the last resort: the statement's own limit comes first
            with gold_timer(limits.seconds + 1):
                expected = gold_results.get(database, gold, limits).rows
        except StatementError as failure:
            return Answer(False, gold_error=f"{Path(database).name}: {failure.reason}")
        try:
            # comparing counts too: long texts take their time
            with prediction_timer(request.cpu_seconds, request.wall_seconds + 1):
                given = _result(request, database, prediction, len(expected) + 1)
                if not spider_equal(expected, given, ordered=ordered):
                    return Answer(False)
        except StatementError as failure:
            return Answer(False, reason=failure.reason, slow=failure.slow)
    return Answer(True)


def _result(request: Request, database: str, prediction: str, most_rows: int) -> list[Row]:
    """A prediction's first rows: one more than the gold query's is enough to tell them apart."""
    allowance = Allowance(request.steps, request.wall_seconds)
    with executing(Path(database), prediction, request.limits, allowance, decode) as rows:
        return list(islice(rows, most_rows))
