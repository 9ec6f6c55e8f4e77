"""What was read from a database's contents, kept on disk under a key made from those contents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kdzoo.files import write_text
from kdzoo.tasks.sql.journals import journals_of
from kdzoo.tasks.text_to_sql.prompt import Match
from kdzoo.tasks.text_to_sql.schema import Column, Comments, ForeignKey, Schema, Table, read_schema
from kdzoo.tasks.text_to_sql.values import ValueIndex

# Databases up to this size are told apart by all their bytes, larger ones by size, time and the first bytes.
_HASHED_WHOLE = 64 << 20
_READ = 1 << 20


class ContentsCache:
    """The schema of one database and the contents that questions match, from disk where they are known."""

    def __init__(self, database: Path, cache: Path) -> None:
        self._database = database
        self._file = cache / "contents" / f"{database.stem}-{_key(database)}.json"
        self._kept: dict[str, Any] = _read(self._file)
        self._changed = False

    def schema(self, comments: Comments) -> Schema:
        """The schema, with this dataset's comments.

        Raises:
            RunError: the database cannot be read.
        """
        if "schema" not in self._kept:
            self._kept["schema"] = _schema_to_json(read_schema(self._database))
            self._changed = True
        return _with_comments(_schema_from_json(self._kept["schema"]), comments)

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
    for module in ("schema.py", "values.py", "text_index.py", "contents_cache.py"):
        digest.update((here / module).read_bytes())
    for path in (database, *journals_of(database)):
        status = path.stat()
        with path.open("rb") as file:
            if status.st_size <= _HASHED_WHOLE:
                while part := file.read(_READ):
                    digest.update(part)
            else:
                # the first page holds a counter that SQLite raises with every change
                digest.update(f"{status.st_size}:{status.st_mtime_ns}".encode() + file.read(_READ))
    return digest.hexdigest()[:24]


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # absent or damaged: made again
    return content if isinstance(content, dict) else {}


def _schema_to_json(schema: Schema) -> dict[str, Any]:
    return {
        "tables": [
            [t.name, [[c.name, c.type, c.primary_key, c.values] for c in t.columns]] for t in schema.tables
        ],
        "keys": [[k.table, k.column, k.other_table, k.other_column] for k in schema.foreign_keys],
    }


def _schema_from_json(content: dict[str, Any]) -> Schema:
    return Schema(
        tuple(
            Table(
                name,
                tuple(Column(c, kind, primary, "", tuple(values)) for c, kind, primary, values in columns),
            )
            for name, columns in content["tables"]
        ),
        tuple(ForeignKey(*key) for key in content["keys"]),
    )


def _with_comments(schema: Schema, comments: Comments) -> Schema:
    tables = []
    for table in schema.tables:
        columns = [
            replace(column, comment=comments.get((table.name.lower(), column.name.lower()), ""))
            for column in table.columns
        ]
        tables.append(Table(table.name, tuple(columns)))
    return Schema(tuple(tables), schema.foreign_keys)
