"""The program that a worker process of the sandbox runs: requests in, verdicts out, one JSON object a line."""

from __future__ import annotations

import ctypes
import json
import resource
import signal
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdzoo.sql.compare import bird_equal, spider_equal
from kdzoo.sql.execute import Allowance, Row, StatementFailed, run
from kdzoo.sql.limits import Limits
from kdzoo.sql.normalize import anonymised_values, normalize, order_matters

_GOLD_RESULTS_KEPT = 64
_PR_SET_PDEATHSIG = 1


class _Gold:
    """Results of gold queries, kept while they are likely to be asked for again."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._kept: OrderedDict[tuple[str, str], list[Row]] = OrderedDict()

    def rows(self, database: str, query: str, deadline: float) -> list[Row]:
        key = (database, query)
        if key not in self._kept:
            self._kept[key] = run(Path(database), query, self._limits, Allowance(0, deadline))
            if len(self._kept) > _GOLD_RESULTS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def judge_spider(request: dict[str, Any], gold_results: _Gold, limits: Limits) -> dict[str, Any]:
    """Judge by Spider's rules: equal on every database given."""
    deadline = time.monotonic() + limits.seconds
    try:
        gold = normalize(request["gold"])
    except ValueError as error:
        return _gold_failed(str(error))
    text = anonymised_values(request["prediction"]) if request["quirks"] else request["prediction"]
    try:
        prediction = normalize(text)
    except ValueError as error:
        return _wrong(str(error))
    ordered = order_matters(gold)
    for database in request["databases"]:
        try:
            expected = gold_results.rows(database, gold, deadline)
        except StatementFailed as failure:
            return _gold_failed(f"{Path(database).name}: {failure.reason}")
        # the prediction's clock starts when it starts
        allowance = Allowance(request["steps"], time.monotonic() + limits.seconds)
        try:
            given = run(Path(database), prediction, limits, allowance, most_rows=len(expected) + 1)
        except StatementFailed as failure:
            return _wrong(failure.reason, slow=failure.slow)
        if not spider_equal(expected, given, ordered=ordered):
            return _wrong(None)
    return {"right": True, "reason": None, "gold_error": None, "slow": False}


def judge_bird(request: dict[str, Any], gold_results: _Gold, limits: Limits) -> dict[str, Any]:
    """Judge by BIRD's rules: equal sets of rows, one time limit for both queries."""
    deadline = time.monotonic() + limits.seconds
    (database,) = request["databases"]
    try:
        expected = gold_results.rows(database, request["gold"], deadline)
    except StatementFailed as failure:
        return _gold_failed(failure.reason)
    try:
        given = run(Path(database), request["prediction"], limits, Allowance(request["steps"], deadline))
    except StatementFailed as failure:
        return _wrong(failure.reason, slow=failure.slow)
    if not bird_equal(expected, given):
        return _wrong(None)
    return {"right": True, "reason": None, "gold_error": None, "slow": False}


_RULES: dict[str, Callable[[dict[str, Any], _Gold, Limits], dict[str, Any]]] = {
    "spider": judge_spider,
    "bird": judge_bird,
}


def main() -> None:
    """Answer requests until the input ends. The first line holds the limits."""
    limits = Limits(**json.loads(sys.stdin.readline()))
    _confine(limits)
    gold_results = _Gold(limits)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = _RULES[request["rule"]](request, gold_results, limits)
        except MemoryError:
            answer = _wrong("out of memory")
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _confine(limits: Limits) -> None:
    """Take from this process what no query needs: memory, new files, core dumps, a life after its parent's."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wrong(reason: str | None, *, slow: bool = False) -> dict[str, Any]:
    return {"right": False, "reason": reason, "gold_error": None, "slow": slow}


def _gold_failed(reason: str) -> dict[str, Any]:
    return {"right": False, "reason": None, "gold_error": reason, "slow": False}


if __name__ == "__main__":
    main()
