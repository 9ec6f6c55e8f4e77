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

from kdzoo.tasks.sql import functions
from kdzoo.tasks.sql.limits import Limits
from kdzoo.tasks.sql.timers import SetTimer
from kdzoo.tasks.sql.virtual_tables import connect_virtual_tables

Row = tuple[Any, ...]

# How the bytes of a text become a value, as sqlite3 takes it; ``str`` itself refuses what is not UTF-8.
TextFactory = Callable[[bytes], str]

TIMEOUT = "timeout"
OUT_OF_MEMORY = "out of memory"

# How many steps of SQLite's virtual machine pass between two looks at the limits.
_STRIDE = 2000

# The timer comes later than the statement's own limit: on a busy machine the kernel's timers run ahead of the
# clock, as they count whole ticks.
_TIMER_SHARE = 2.0
_TIMER_SLACK_SECONDS = 0.1

# Rows are fetched in batches, small enough for long values and large enough to make the clock cheap.
_LARGEST_BATCH = 32

_ALLOWED_ACTIONS = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)


class StatementError(Exception):
    """A statement gave no result; ``reason`` says why.

    ``slow``: with more time it might have. ``barren``: it was stopped before it gave a row.
    """

    def __init__(self, reason: str, *, slow: bool = False, barren: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.slow = slow
        self.barren = barren


@dataclass(frozen=True)
class Allowance:
    """What one statement may take.

    SQLite: ``steps`` of its virtual machine (0: no limit) and ``seconds`` of CPU time. Whoever reads and compares
    the rows: ``reading_seconds``. ``set_timer`` sets the timer that is there for what nothing else stops.
    """

    steps: int
    seconds: float
    reading_seconds: float
    set_timer: SetTimer


@contextmanager
def executing(
    database: Path, statement: str, limits: Limits, allowance: Allowance, text: TextFactory
) -> Iterator[Rows]:
    """Run one statement; the block gets its rows. What the block does with them is not SQLite's work.

    Raises:
        StatementError: here or while the block iterates: the statement is refused, wrong, or too much.
    """
    check_text(statement, limits)
    watch = _Watch(allowance)
    connection = _connect(database, limits, text)
    try:
        connection.set_progress_handler(watch, _STRIDE)
        yield Rows(connection.execute(statement), watch)
    except MemoryError:
        raise StatementError(OUT_OF_MEMORY) from None
    except (sqlite3.Error, sqlite3.Warning) as error:
        if watch.stopped:
            raise StatementError(TIMEOUT, slow=True, barren=watch.barren) from None
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
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA query_only = 1")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.value_bytes)
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 4 * limits.statement)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000)
    connection.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
    connect_virtual_tables(connection)
    connection.text_factory = text
    # it is asked about what views and generated columns do, too
    connection.set_authorizer(_authorize)
    return connection


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_PRAGMA and (first, second) == ("data_version", None):
        return sqlite3.SQLITE_OK  # a counter that FTS5 looks at in every query
    if action not in _ALLOWED_ACTIONS:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in functions.ALLOWED:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


class _Watch:
    """Stops a statement when its allowance is used up. ``spent`` is SQLite's CPU time up to the last pause."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._strides = 0
        self._most_strides = allowance.steps / _STRIDE if allowance.steps else float("inf")
        self._reading = 0.0
        self._begin = time.process_time()
        self.spent = 0.0
        self.barren = True
        self.stopped = False
        allowance.set_timer(_TIMER_SHARE * allowance.seconds + _TIMER_SLACK_SECONDS)

    def __call__(self) -> int:
        self._strides += 1
        seconds = self.spent + time.process_time() - self._begin
        self.stopped = self._strides > self._most_strides or seconds > self._allowance.seconds
        return int(self.stopped)

    def pause(self) -> None:
        """SQLite has given some rows, or its last."""
        self.spent += self._lap()
        self._allowance.set_timer(self._allowance.reading_seconds - self._reading)

    def resume(self) -> None:
        """Let SQLite go on.

        Raises:
            StatementError: the allowance is used up; rows may come with few steps between them.
        """
        self._reading += self._lap()
        left = self._allowance.seconds - self.spent
        if left < 0:
            raise StatementError(TIMEOUT, slow=True, barren=self.barren)
        self._allowance.set_timer(_TIMER_SHARE * left + _TIMER_SLACK_SECONDS)

    def _lap(self) -> float:
        begin, self._begin = self._begin, time.process_time()
        return self._begin - begin


class Rows:
    """The rows of a statement, fetched as they are asked for. To be iterated over once."""

    def __init__(self, cursor: sqlite3.Cursor, watch: _Watch) -> None:
        self._cursor = cursor
        self._watch = watch

    def __iter__(self) -> Iterator[Row]:
        size = 1
        while rows := self._cursor.fetchmany(size):
            self._watch.barren = False
            self._watch.pause()
            yield from rows
            self._watch.resume()
            size = min(2 * size, _LARGEST_BATCH)
        self._watch.pause()

    @property
    def columns(self) -> list[str]:
        """The names of the columns; none of a statement that gives no rows."""
        return [column[0] for column in self._cursor.description or ()]

    @property
    def seconds(self) -> float:
        """The CPU time that SQLite has taken for the rows so far."""
        return self._watch.spent


def _plain(error: Exception) -> str:
    text = str(error)
    if "not authorized" in text or "prohibited" in text or "authoriz" in text:
        return f"not allowed: {text}"[:200]
    return text[:200]
