"""Finding the contents of a database that a question mentions.

Coarse to fine, as CodeS (Li et al. 2024) does it: BM25 gives the candidates among all short texts of the
database, then each is compared with the question's words by longest common substring and fuzzy ratio.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from types import TracebackType

from rapidfuzz import fuzz, process

from kdzoo.errors import RunError
from kdzoo.tasks.sql.schema import open_read_only, quoted, table_names
from kdzoo.tasks.text_to_sql.prompt_style import Match
from kdzoo.tasks.text_to_sql.text_index import TextIndex

_LONGEST_VALUE = 60
_CANDIDATES = 100
_VALUES_PER_COLUMN = 3
# A value is mentioned if some words of the question are like it to this degree (0 to 100) ...
_LEAST_RATIO = 85.0
# ... and a piece of it, of this share of its length, stands there letter for letter.
_LEAST_COMMON = 0.6
_FEWEST_LETTERS_FOR_FUZZY = 3

_WORD = re.compile(r"\w+")
_NUMERIC_TYPE = re.compile(r"INT|REAL|FLOA|DOUB", re.IGNORECASE)


class ValueIndex:
    """All texts of at most 60 characters in one database. A context manager."""

    def __init__(self, database: Path) -> None:
        """Read the texts of every column that is not declared to hold numbers.

        Raises:
            RunError: the database cannot be read.
        """
        self._index = TextIndex()
        self._values: list[str] = []
        self._places: list[tuple[str, str]] = []
        connection = open_read_only(database)
        try:
            for table, column, value in _texts(connection):
                self._places.append((table, column))
                self._values.append(value)
            self._index.add(self._values)
        except sqlite3.Error as error:
            self._index.__exit__(None, None, None)
            raise RunError(f"{database}: its contents cannot be read: {error}") from None
        finally:
            connection.close()

    def __enter__(self) -> ValueIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._index.__exit__(kind, error, trace)

    def match(self, question: str) -> list[Match]:
        """Give the columns whose contents the question mentions, in the schema's order, best values first."""
        mention = _Mention(question)
        found: dict[tuple[str, str], list[tuple[float, int]]] = {}
        for number, _ in self._index.search(question, _CANDIDATES):
            likeness = mention.likeness(self._values[number])
            if likeness > 0:
                found.setdefault(self._places[number], []).append((likeness, number))
        # values are numbered in the order of the schema
        ordered = sorted(found.items(), key=lambda item: min(number for _, number in item[1]))
        return [Match(table, column, self._best(scored)) for (table, column), scored in ordered]

    def _best(self, scored: list[tuple[float, int]]) -> tuple[str, ...]:
        """The best values of a column; where one is mentioned to the letter, no other is meant."""
        scored.sort(key=lambda item: (-item[0], -len(self._values[item[1]]), item[1]))
        exact = scored[0][0] >= _EXACT
        kept = [number for likeness, number in scored if not exact or likeness >= _EXACT]
        shown = dict.fromkeys(" ".join(self._values[number].split()) for number in kept)
        return tuple(shown)[:_VALUES_PER_COLUMN]


_EXACT = 2.0


class _Mention:
    """One question, prepared to be compared with many values."""

    def __init__(self, question: str) -> None:
        self._question = question
        self._lower = question.lower()
        self._spans = [match.span() for match in _WORD.finditer(self._lower)]
        self._windows: dict[int, list[str]] = {}
        self._common = SequenceMatcher(autojunk=False)
        self._common.set_seq2(self._lower)

    def likeness(self, value: str) -> float:
        """How surely the question mentions a value: 0 (not), or common share plus fuzzy ratio, 2 at most."""
        lower = " ".join(value.lower().split())
        words = len(_WORD.findall(lower))
        if words == 0:
            return 0.0
        if len(lower) < _FEWEST_LETTERS_FOR_FUZZY:
            # "a" and "US" are words of any question unless they are written as the value is
            return _EXACT if value.strip() in _WORD.findall(self._question) else 0.0
        windows = [window for count in (words, words - 1, words + 1) for window in self._windows_of(count)]
        # numbers that are alike are different numbers
        least = _LEAST_RATIO if any(c.isalpha() for c in lower) else 100.0
        best = process.extractOne(lower, windows, scorer=fuzz.ratio, score_cutoff=least)
        if best is None:
            return 0.0
        self._common.set_seq1(lower)
        common = self._common.find_longest_match().size / len(lower)
        return common + best[1] / 100.0 if common >= _LEAST_COMMON else 0.0

    def _windows_of(self, count: int) -> list[str]:
        """All pieces of the question with so many words."""
        if count < 1:
            return []
        if count not in self._windows:
            self._windows[count] = [
                self._lower[self._spans[i][0] : self._spans[i + count - 1][1]]
                for i in range(len(self._spans) - count + 1)
            ]
        return self._windows[count]


def _texts(connection: sqlite3.Connection) -> Iterator[tuple[str, str, str]]:
    """Every distinct short text with its table and column, in the order of the schema."""
    for table in table_names(connection):
        for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({quoted(table)})").fetchall():
            if _NUMERIC_TYPE.search(kind or ""):
                continue
            name = quoted(column)
            rows = connection.execute(
                f"SELECT DISTINCT {name} FROM {quoted(table)} NOT INDEXED WHERE typeof({name}) = 'text' "
                f"AND length({name}) BETWEEN 1 AND {_LONGEST_VALUE}"
            )
            for (value,) in rows:
                yield table, column, value
