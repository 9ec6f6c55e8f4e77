"""A verdict by Spider's rules (test-suite-sql-eval, Zhong et al. 2020). Used inside the sandbox only."""

from __future__ import annotations

from pathlib import Path

from kdzoo.tasks.sql.compare import spider_equal
from kdzoo.tasks.sql.digest import Digest
from kdzoo.tasks.sql.execute import Allowance, StatementError, check_text, executing
from kdzoo.tasks.sql.gold import GoldResults
from kdzoo.tasks.sql.normalize import as_the_official_command, normalize, order_matters
from kdzoo.tasks.sql.request import Answer, Request
from kdzoo.tasks.sql.timers import gold_timer, prediction_timer


def decode(raw: bytes) -> str:
    """Text as the official program reads it: bytes that are not UTF-8 are passed over."""
    return raw.decode("utf-8", errors="ignore")


def new_gold_results() -> GoldResults[Digest]:
    """What the gold queries of one process give, as ``judge`` needs it."""
    return GoldResults(decode, Digest)


def judge(request: Request, gold_results: GoldResults[Digest]) -> Answer:
    """Right if the results are equal on every database; a gold query that fails is an error."""
    limits = request.limits
    try:
        with gold_timer(limits.seconds):
            check_text(request.gold, limits)
            gold = normalize(request.gold)
    except (ValueError, StatementError) as error:
        return Answer(False, gold_error=str(error))
    try:
        with prediction_timer(request.seconds):
            check_text(request.prediction, limits)
            prediction = normalize(
                as_the_official_command(request.prediction) if request.quirks else request.prediction
            )
    except (ValueError, StatementError) as error:
        return Answer(False, reason=str(error))
    ordered = order_matters(gold)
    for number, database in enumerate(request.databases):
        try:
            with gold_timer(limits.seconds) as set_timer:
                expected = gold_results.get(database, gold, limits, set_timer).content
        except StatementError as failure:
            return Answer(False, gold_error=f"{Path(database).name}: {failure.reason}")
        try:
            with prediction_timer(request.seconds) as set_timer:
                allowance = Allowance(request.steps, request.seconds, limits.reading_seconds, set_timer)
                with executing(Path(database), prediction, limits, allowance, decode) as rows:
                    # one row more than the gold query's is enough to tell them apart
                    given = Digest(rows, len(expected) + 1)
                if not spider_equal(expected, given, ordered=ordered):
                    return Answer(False)
        except StatementError as failure:
            # whether it comes to a later database depends on the gold query
            barren = failure.barren and number == 0
            return Answer(False, reason=failure.reason, slow=failure.slow, barren=barren)
    return Answer(True)
