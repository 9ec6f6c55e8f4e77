"""Reading files of questions with gold SQL. Every entry is checked; problems are told by file and entry."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdzoo.errors import UserError
from kdzoo.files import read_json
from kdzoo.tasks.entries import WrongEntries, is_unicode

_QUOTED_OR_SPACE = re.compile(
    r"""('(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\])|(?:\s|--[^\n]*|/\*.*?(?:\*/|\Z))+""", re.DOTALL
)


@dataclass(frozen=True)
class Question:
    """One question on one database. ``database`` is the SQLite file; ``evidence`` may be empty."""

    id: str
    db_id: str
    text: str
    sql: str
    database: Path
    evidence: str = ""
    difficulty: str | None = None


@dataclass(frozen=True)
class Keys:
    """The names that a dataset's files use; of several, the first that an entry has counts."""

    question: tuple[str, ...]
    sql: tuple[str, ...]


SPIDER_KEYS = Keys(question=("SpiderSynQuestion", "question"), sql=("query",))
BIRD_KEYS = Keys(question=("question",), sql=("SQL", "query"))


def read_questions(
    file: Path, keys: Keys, find_database: Callable[[str], Path | None], problems: WrongEntries
) -> list[Question]:
    """Read one file of questions. ``find_database`` gives the SQLite file of a database's name.

    Raises:
        UserError: the file cannot be read or is not a JSON list; an entry is wrong and must not be skipped.
    """
    questions = []
    for number, entry in enumerate(read_json_list(file)):
        where = f"{file}: entry {number}"
        question = _question(entry, f"{file.stem}-{number}", where, keys, find_database, problems)
        if question is not None:
            questions.append(question)
    return questions


def read_json_list(file: Path) -> list[Any]:
    """Read a JSON file that holds a list.

    Raises:
        UserError: it cannot be read, is not JSON (the message names the line), or holds something else.
    """
    content = read_json(file)
    if not isinstance(content, list):
        raise UserError(f"{file}: must hold a JSON list, not {_kind(content)}")
    return content


def _question(
    entry: Any,
    default_id: str,
    where: str,
    keys: Keys,
    find_database: Callable[[str], Path | None],
    problems: WrongEntries,
) -> Question | None:
    if not isinstance(entry, dict):
        problems.note(where, f"must be an object, not {_kind(entry)}", "not an object")
        return None
    db_id = _text(entry, ("db_id",))
    text = _text(entry, keys.question)
    sql = _one_line(_text(entry, keys.sql) or "")
    for what, value, names in (
        ("database name", db_id, ("db_id",)),
        ("question", text, keys.question),
        ("gold SQL", sql, keys.sql),
    ):
        if not value:
            problems.note(where, f"has no {what} (key {' or '.join(repr(n) for n in names)})", f"no {what}")
            return None
    assert db_id is not None
    assert text is not None
    number = entry.get("question_id")
    name = default_id if number is None else str(number)
    evidence = _text(entry, ("evidence",)) or ""
    difficulty = _text(entry, ("difficulty",))
    if not is_unicode("".join((name, db_id, text, sql, evidence, difficulty or ""))):
        problems.note(where, "holds half a character (a lone surrogate)", "half a character")
        return None
    database = find_database(db_id)
    if database is None:
        problems.note(where, f"its database {db_id!r} has no file {db_id}/{db_id}.sqlite", "no database")
        return None
    return Question(name, db_id, text, sql, database, evidence, difficulty)


def _text(entry: dict[str, Any], names: Sequence[str]) -> str | None:
    for name in names:
        value = entry.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def _one_line(sql: str) -> str:
    """A query with single spaces, without comments and closing semicolon; what is quoted stays as it is."""
    return _QUOTED_OR_SPACE.sub(lambda match: match.group(1) or " ", sql).strip("; ")


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")
