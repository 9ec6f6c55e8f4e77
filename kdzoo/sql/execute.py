"""Running one untrusted statement on a read-only connection. Used inside the sandbox's processes only."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kdzoo.sql import functions
from kdzoo.sql.limits import Limits

Row = tuple[Any, ...]

# How the bytes of a text become a value, as sqlite3 takes it; ``str`` itself refuses what is not UTF-8.
TextFactory = Callable[[bytes], str]

TIMEOUT = "timeout"
OUT_OF_MEMORY = "out of memory"

# How many steps of SQLite's virtual machine pass between two looks at the limits.
_STRIDE = 2000

_ALLOWED_ACTIONS = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)


class StatementError(Exception):
    """A statement gave no result; ``reason`` says why. ``slow``: with more time it might have."""

    def __init__(self, reason: str, *, slow: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.slow = slow


@dataclass(frozen=True)
class Allowance:
    """What one statement may take: steps of the virtual machine (0: no limit) and seconds of wall time."""

    steps: int
    seconds: float


@contextmanager
def executing(
    database: Path, statement: str, limits: Limits, allowance: Allowance, text: TextFactory
) -> Iterator[Iterator[Row]]:
    """Run one statement; the block gets an iterator over its rows.

    Raises:
        StatementError: here or while the block iterates: the statement is refused, wrong, or too much.
    """
    check_text(statement, limits)
    watch = _Watch(allowance)
    connection = _connect(database, limits, text)
    try:
        connection.set_progress_handler(watch, _STRIDE)
        yield _rows(connection.execute(statement), limits, watch)
    except MemoryError:
        raise StatementError(OUT_OF_MEMORY) from None
    except (sqlite3.Error, sqlite3.Warning) as error:
        if watch.stopped:
            raise StatementError(TIMEOUT, slow=True) from None
        raise StatementError(_plain(error)) from None
    except (OverflowError, UnicodeError, RecursionError) as error:
        raise StatementError(f"{type(error).__name__}: {error}"[:200]) from None
    finally:
        connection.close()


def check_text(statement: str, limits: Limits) -> None:
    """Refuse text that no query is made of, before anything reads it.

    Raises:
        StatementError: it is too long, or is no text for SQLite.
    """
    if len(statement) > limits.statement:
        raise StatementError(f"longer than {limits.statement} characters")
    if "\0" in statement:
        raise StatementError("contains a NUL character")
    try:
        statement.encode("utf-8")
    except UnicodeEncodeError:
        raise StatementError("contains half a character (a lone surrogate)") from None


def _connect(database: Path, limits: Limits, text: TextFactory) -> sqlite3.Connection:
    address = f"file:{quote(str(database.absolute()))}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(address, uri=True, isolation_level=None, cached_statements=0)
    except sqlite3.Error as error:
        raise StatementError(f"{database.name}: {error}") from None
    connection.text_factory = text
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


def _authorize(action: int, _first: str | None, name: str | None, *_: str | None) -> int:
    if action not in _ALLOWED_ACTIONS:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (name or "").lower() not in functions.ALLOWED:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


class _Watch:
    """Stops a statement when its allowance is used up."""

    def __init__(self, allowance: Allowance) -> None:
        self._strides = 0
        self._most_strides = allowance.steps / _STRIDE if allowance.steps else float("inf")
        self._deadline = time.monotonic() + allowance.seconds
        self.stopped = False

    def __call__(self) -> int:
        self._strides += 1
        if self._strides > self._most_strides or time.monotonic() > self._deadline:
            self.stopped = True
        return int(self.stopped)


def _rows(cursor: sqlite3.Cursor, limits: Limits, watch: _Watch) -> Iterator[Row]:
    size = 0
    for count, row in enumerate(cursor, start=1):
        size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
        if count > limits.rows or size > limits.result_bytes:
            raise StatementError("result too large")
        # rows that come without many steps between them reach the watch here
        if count % 1000 == 0 and watch():
            raise StatementError(TIMEOUT, slow=True)
        yield row


def _plain(error: Exception) -> str:
    text = str(error)
    if "not authorized" in text or "prohibited" in text or "authoriz" in text:
        return f"not allowed: {text}"[:200]
    return text[:200]
