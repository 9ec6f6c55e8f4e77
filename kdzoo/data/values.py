"""Contents of a database that a question mentions.

As in CodeS (Li et al. 2024): a coarse search by BM25 over all text values (SQLite's FTS5), then a fine comparison by
the longest common substring and a fuzzy ratio.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from difflib import SequenceMatcher
from pathlib import Path

from rapidfuzz import fuzz

from kdzoo.data.prompt import Match
from kdzoo.data.schema import open_read_only, quoted
from kdzoo.errors import RunError

_CANDIDATES = 60
_LONGEST_VALUE = 50
_VALUES_PER_COLUMN = 3
_COLUMNS = 6
# A value counts as mentioned if so much of it stands in the question.
_SUBSTRING_SHARE = 0.85
_FUZZY_SHARE = 0.85
_MOST_VALUES = 200_000
_WORD = re.compile(r"\w+", re.UNICODE)
_STOP_WORDS = frozenset(
    "a an and are as at be by did do does each find for from give had has have how i in is it its list many me name of on or "
    "show that the their there they to was were what when where which who whose with".split()
)


class ValueIndex:
    """A full-text index in memory over the distinct text values of one database."""

    def __init__(self, database: Path) -> None:
        self._index = sqlite3.connect(":memory:")
        self._index.execute(
            "CREATE VIRTUAL TABLE contents USING fts5(value, table_name UNINDEXED, column_name UNINDEXED, "
            "tokenize = 'porter unicode61')"
        )
        source = open_read_only(database)
        try:
            self._fill(source)
        except sqlite3.Error as error:
            raise RunError(f"{database}: its contents cannot be read: {error}") from None
        finally:
            source.close()

    def matches(self, question: str) -> list[Match]:
        """Give the columns whose values the question mentions, best first."""
        words = [w for w in _WORD.findall(question.lower()) if w not in _STOP_WORDS]
        if not words:
            return []
        query = " OR ".join(f'"{word}"' for word in dict.fromkeys(words))
        candidates = self._index.execute(
            "SELECT value, table_name, column_name FROM contents WHERE contents MATCH ? ORDER BY bm25(contents), rowid LIMIT ?",
            (query, _CANDIDATES),
        )
        scored: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
        lowered = question.lower()
        for value, table, column in candidates:
            score = mention_score(lowered, value.lower())
            if score > 0:
                scored[table, column].append((score, value))
        ranked = sorted(scored.items(), key=lambda item: (-max(item[1])[0], item[0]))
        return [
            Match(table, column, tuple(v for _, v in sorted(found, key=lambda f: (-f[0], f[1]))[:_VALUES_PER_COLUMN]))
            for (table, column), found in ranked[:_COLUMNS]
        ]

    def _fill(self, source: sqlite3.Connection) -> None:
        tables = [
            row[0]
            for row in source.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
            )
        ]
        for table in tables:
            for column in source.execute(f"PRAGMA table_info({quoted(table)})").fetchall():
                name = quoted(column[1])
                values = source.execute(
                    f"SELECT DISTINCT {name} FROM {quoted(table)} WHERE typeof({name}) = 'text' "
                    f"AND length({name}) BETWEEN 2 AND ? LIMIT ?",
                    (_LONGEST_VALUE, _MOST_VALUES),
                )
                self._index.executemany(
                    "INSERT INTO contents VALUES (?, ?, ?)",
                    ((value, table, column[1]) for (value,) in values if not _is_number(value)),
                )


def mention_score(question: str, value: str) -> float:
    """How clearly a question mentions a value, both in lower case: 0 for not at all, at most 1 and a little.

    The longest common substring must cover most of the value and end at the borders of words, or the value must
    stand in the question with small differences. Longer mentions score higher.
    """
    value = value.strip()
    if not value:
        return 0.0
    length_bonus = min(len(value), 50) / 1000
    if re.search(rf"(?<!\w){re.escape(value)}(?!\w)", question):
        return 1.0 + length_bonus
    if len(value) < 4:
        return 0.0
    # a cheap upper bound first: most candidates share one common word only
    if fuzz.partial_ratio(value, question) < 100 * _FUZZY_SHARE:
        return 0.0
    match = SequenceMatcher(None, question, value, autojunk=False).find_longest_match()
    share = match.size / len(value)
    begins_word = match.a == 0 or not question[match.a - 1].isalnum()
    if begins_word and match.b == 0 and share >= _SUBSTRING_SHARE:
        return share + length_bonus
    words = len(value.split())
    spans = _WORD.findall(question)
    closest = max(
        (fuzz.ratio(" ".join(spans[i : i + words]), value) for i in range(len(spans) - words + 1)), default=0.0
    )
    return closest / 100 + length_bonus if closest >= 100 * _FUZZY_SHARE else 0.0


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
