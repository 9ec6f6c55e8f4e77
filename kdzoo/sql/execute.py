"""Running one untrusted statement on a read-only connection. Used inside the sandbox's worker processes only."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kdzoo.sql.limits import Limits

Row = tuple[Any, ...]

# How many steps of SQLite's virtual machine pass between two looks at the limits.
_STRIDE = 2000

_ALLOWED_ACTIONS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}

# Functions that only compute. Anything else (loading code, files, tokenizers, debugging) is refused by its absence.
_ALLOWED_FUNCTIONS = frozenset(
    """abs avg ceil ceiling changes char coalesce concat concat_ws count cume_dist current_date current_time
    current_timestamp date datetime dense_rank exp first_value floor format glob group_concat hex if ifnull iif instr
    julianday lag last_insert_rowid last_value lead length like likelihood likely ln log log10 log2 lower ltrim max
    min mod nth_value ntile nullif octet_length percent_rank pi pow power printf quote radians degrees random
    randomblob rank replace round row_number rtrim sign soundex sqlite_version sqrt strftime string_agg substr
    substring sum time timediff total total_changes trim trunc typeof unhex unicode unixepoch unlikely upper
    zeroblob acos acosh asin asinh atan atan2 atanh cos cosh sin sinh tan tanh match
    json json_array json_array_length json_extract json_group_array json_group_object json_object json_patch
    json_quote json_remove json_replace json_set json_type json_valid json_insert -> ->>""".split()
)


class StatementFailed(Exception):
    """A statement gave no result; ``reason`` says why. ``slow``: more time might have helped."""

    def __init__(self, reason: str, *, slow: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.slow = slow


@dataclass(frozen=True)
class Allowance:
    """What one statement may take: steps of the virtual machine (0: no limit) and a point in time."""

    steps: int
    deadline: float


def run(database: Path, statement: str, limits: Limits, allowance: Allowance, most_rows: int | None = None) -> list[Row]:
    """Run one statement and give its rows; at most ``most_rows``, where more cannot matter.

    Raises:
        StatementFailed: it is refused, wrong, or too much.
    """
    if len(statement) > limits.statement:
        raise StatementFailed(f"longer than {limits.statement} characters")
    if "\0" in statement:
        raise StatementFailed("contains a NUL character")
    try:
        statement.encode("utf-8")
    except UnicodeEncodeError:
        raise StatementFailed("is not valid text") from None
    watch = _Watch(allowance)
    connection = _connect(database, limits)
    try:
        connection.set_progress_handler(watch, _STRIDE)
        return _fetch(connection, statement, limits, watch, most_rows)
    except MemoryError:
        raise StatementFailed("out of memory") from None
    except (sqlite3.Error, sqlite3.Warning) as error:
        if watch.slow is not None:
            raise StatementFailed("timeout", slow=watch.slow) from None
        raise StatementFailed(_plain(error)) from None
    except (OverflowError, UnicodeError, ValueError, RecursionError) as error:
        raise StatementFailed(f"{type(error).__name__}: {error}"[:200]) from None
    finally:
        connection.close()


def _connect(database: Path, limits: Limits) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            f"file:{quote(str(database.absolute()))}?mode=ro&immutable=1", uri=True, isolation_level=None, cached_statements=0
        )
    except sqlite3.Error as error:
        raise StatementFailed(f"{database.name}: {error}") from None
    connection.text_factory = lambda raw: raw.decode("utf-8", errors="ignore")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA query_only = 1")
    connection.execute("PRAGMA trusted_schema = 0")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.value_bytes)
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 4 * limits.statement)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000)
    connection.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
    connection.set_authorizer(_authorize)
    return connection


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action not in _ALLOWED_ACTIONS:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _ALLOWED_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


class _Watch:
    """Stops a statement at its allowance. ``slow`` is None until then; True if only the steps were used up."""

    def __init__(self, allowance: Allowance) -> None:
        self._strides = 0
        self._allowance = allowance
        self.slow: bool | None = None

    def __call__(self) -> int:
        self._strides += 1
        if self._allowance.steps and self._strides * _STRIDE > self._allowance.steps:
            self.slow = True
        elif time.monotonic() > self._allowance.deadline:
            self.slow = False
        return 0 if self.slow is None else 1


def _fetch(
    connection: sqlite3.Connection, statement: str, limits: Limits, watch: _Watch, most_rows: int | None
) -> list[Row]:
    cursor = connection.execute(statement)
    rows: list[Row] = []
    size = 0
    for row in cursor:
        rows.append(row)
        size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
        if most_rows is not None and len(rows) >= most_rows:
            break
        if len(rows) > limits.rows or size > limits.result_bytes:
            raise StatementFailed("result too large")
        if watch.slow is not None:
            raise StatementFailed("timeout", slow=watch.slow)
    return rows


def _plain(error: Exception) -> str:
    text = str(error)
    if "not authorized" in text or "prohibited" in text or "authorization" in text:
        return f"not allowed: {text}"
    return text[:200]
