"""What was read from a database's contents, kept on disk under a key made from those contents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from kdzoo.files import digest_of, write_text
from kdzoo.tasks.sql.journals import journals_of
from kdzoo.tasks.sql.schema import Schema
from kdzoo.tasks.text_to_sql.prompt_style import Match
from kdzoo.tasks.text_to_sql.schema import Comments, read_schema, with_comments
from kdzoo.tasks.text_to_sql.values import ValueIndex

_SCHEMA = TypeAdapter(Schema)
_LONGEST_NAME = 80  # a file's may have 255 bytes, and is longer while it is written


class ContentsCache:
    """The schema of one database and the contents that questions match, from disk where they are known."""

    def __init__(self, database: Path, cache: Path) -> None:
        self._database = database
        self._file = cache / "contents" / f"{database.stem[:_LONGEST_NAME]}-{_key(database)}.json"
        self._kept: dict[str, Any] = _read(self._file)
        self._changed = False

    def schema(self, comments: Comments) -> Schema:
        """The schema, with this dataset's comments.

        Raises:
            RunError: the database cannot be read.
        """
        if "schema" not in self._kept:
            self._kept["schema"] = _SCHEMA.dump_python(read_schema(self._database), mode="json")
            self._changed = True
        return with_comments(_SCHEMA.validate_python(self._kept["schema"]), comments)

    def matches(self, questions: Sequence[str]) -> list[tuple[Match, ...]]:
        """The contents that each question mentions.

        Raises:
            RunError: the database cannot be read.
        """
        known: dict[str, list[list[Any]]] = self._kept.setdefault("matches", {})
        missing = [question for question in dict.fromkeys(questions) if question not in known]
        if missing:
            with ValueIndex(self._database) as index:
                for question in missing:
                    known[question] = [[m.table, m.column, list(m.values)] for m in index.match(question)]
            self._changed = True
        return [
            tuple(Match(table, column, tuple(values)) for table, column, values in known[question])
            for question in questions
        ]

    def save(self) -> None:
        """Write what is new to disk."""
        if self._changed:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._file, json.dumps(self._kept, ensure_ascii=False))
            self._changed = False


def _key(database: Path) -> str:
    """Changes with the database's contents, those in its journals included, and with the code that reads them."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for module in ("../sql/schema.py", "schema.py", "values.py", "text_index.py", "contents_cache.py"):
        digest.update((here / module).read_bytes())
    for path in (database, *journals_of(database)):
        digest.update(digest_of(path).encode())
    return digest.hexdigest()[:24]


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # absent or damaged: made again
    return content if isinstance(content, dict) else {}
