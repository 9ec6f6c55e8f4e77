"""From entries of a SQL benchmark to examples: schemas read once, prompts built, contents matched and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

from kdzoo.data.entries import Entry
from kdzoo.data.example import Example
from kdzoo.data.prompt import Match, PromptStyle, prompt_text
from kdzoo.data.schema import Schema, read_schema
from kdzoo.data.shorter_schema import shortest_needed
from kdzoo.data.values import ValueIndex
from kdzoo.files import write_text

Comments = dict[tuple[str, str], str]


class ExampleMaker:
    """Makes examples of one benchmark. ``comments`` gives a database's column names in plain words."""

    def __init__(
        self,
        database: Callable[[str], Path],
        comments: Callable[[str], Comments],
        style: PromptStyle,
        cache: Path,
        difficulty: Callable[[Entry], str | None],
    ) -> None:
        self._database = database
        self._comments = comments
        self._style = style
        self._cache = cache
        self._difficulty = difficulty
        self._schema = lru_cache(maxsize=None)(self._read_schema)

    def make(self, entries: Iterable[Entry]) -> list[Example]:
        """Make the examples of entries, in their order."""
        entries = list(entries)
        matches = self._matches(entries) if self._style.matches else [[] for _ in entries]
        return [self._example(entry, found) for entry, found in zip(entries, matches, strict=True)]

    def _example(self, entry: Entry, matches: list[Match]) -> Example:
        schema = self._schema(entry.db_id)

        def shorten(fits: Callable[[str], bool], training: bool) -> str:
            def text(smaller: Schema) -> str:
                return prompt_text(smaller, entry.question, self._style, matches, entry.evidence)

            return shortest_needed(schema, entry.question, entry.sql if training else None, text, fits)

        return Example(
            id=f"{entry.file}-{entry.number}",
            prompt=prompt_text(schema, entry.question, self._style, matches, entry.evidence),
            target=" ".join(entry.sql.split()),
            question=entry.question,
            group=entry.db_id,
            database=self._database(entry.db_id),
            difficulty=self._difficulty(entry),
            shorten=shorten,
        )

    def _read_schema(self, db_id: str) -> Schema:
        return read_schema(self._database(db_id), self._comments(db_id))

    def _matches(self, entries: list[Entry]) -> list[list[Match]]:
        """Match every question with its database's contents; one database at a time, kept on disk."""
        found: list[list[Match]] = [[] for _ in entries]
        by_database: dict[str, list[int]] = {}
        for index, entry in enumerate(entries):
            by_database.setdefault(entry.db_id, []).append(index)
        for db_id, indices in by_database.items():
            questions = [f"{entries[i].question} {entries[i].evidence}".strip() for i in indices]
            for index, matches in zip(indices, self._matched(db_id, questions), strict=True):
                found[index] = matches
        return found

    def _matched(self, db_id: str, questions: list[str]) -> list[list[Match]]:
        path = self._cache / "matches" / f"{db_id}-{self._match_key(db_id, questions)}.json"
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            return [[Match(t, c, tuple(v)) for t, c, v in matches] for matches in kept]
        except (OSError, ValueError, TypeError):
            pass  # not kept yet, or cut off
        index = ValueIndex(self._database(db_id))
        matched = [index.matches(question) for question in questions]
        path.parent.mkdir(parents=True, exist_ok=True)
        content = [[[m.table, m.column, list(m.values)] for m in matches] for matches in matched]
        write_text(path, json.dumps(content, ensure_ascii=False))
        return matched

    def _match_key(self, db_id: str, questions: list[str]) -> str:
        from kdzoo.data import values

        status = self._database(db_id).stat()
        code = Path(values.__file__).read_text(encoding="utf-8")
        parts = [str(self._database(db_id)), status.st_size, status.st_mtime_ns, code, questions]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
