"""Ranking short texts by how well they answer a question, by BM25 (Robertson et al. 1995; SQLite's FTS5)."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from types import TracebackType

from kdzoo.errors import RunError

_WORD = re.compile(r"\w+")

# Words that stand in any question and would make every text look related.
STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a about all also an and any are as at be been by can could did do does each either every find
        for from give had has have having her his how i if in into is it its list many me more most much
        no not number of on one only or other our please same show some such tell than that the their
        them then there these they this those to two us was we were what when where which who whom whose
        will with without would you your
        """,
    )
)


class TextIndex:
    """An index over texts, in memory. A context manager; ``add`` first, then ``search``."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        try:
            tokenizer = "porter unicode61 remove_diacritics 2"
            self._connection.execute(f"CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = '{tokenizer}')")
        except sqlite3.OperationalError as error:
            self._connection.close()
            raise RunError(
                f"matching needs SQLite with FTS5, which this Python's SQLite lacks ({error}); "
                "data.matching = false goes without"
            ) from None

    def __enter__(self) -> TextIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def add(self, texts: Iterable[str]) -> None:
        """Add texts; they are numbered from 0 in the order in which they come."""
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT INTO texts (text) VALUES (?)", ((text,) for text in texts))
        self._connection.execute("COMMIT")

    def search(self, question: str, most: int) -> list[tuple[int, float]]:
        """Give the numbers of the best texts that share a word with the question, with their scores."""
        words = dict.fromkeys(word.lower() for word in _WORD.findall(question) if _tells(word))
        if not words:
            return []
        query = " OR ".join(f'"{word}"' for word in words)
        # bm25() is better the lower it is
        rows = self._connection.execute(
            "SELECT rowid, bm25(texts) FROM texts WHERE texts MATCH ? ORDER BY 2, 1 LIMIT ?", (query, most)
        )
        return [(row - 1, -score) for row, score in rows]


def _tells(word: str) -> bool:
    # US, IN and OR are names
    return word.lower() not in STOP_WORDS or (word.isupper() and len(word) > 1)
