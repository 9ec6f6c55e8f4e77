"""Reading the JSON files of SQL benchmarks, entry by entry, with errors that name file and entry."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kdzoo.errors import UserError

OnError = Literal["raise", "skip"]


@dataclass(frozen=True)
class Entry:
    """One question of a benchmark. ``number`` counts from 0 within its file."""

    file: str
    number: int
    db_id: str
    question: str
    sql: str
    evidence: str = ""
    difficulty: str | None = None


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: it is missing, not UTF-8, or not JSON (with the line).
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def read_entries(
    path: Path,
    *,
    question_keys: Sequence[str],
    sql_keys: Sequence[str],
    database: Callable[[str], Path],
    on_error: OnError,
    report: Counter[str],
) -> Iterator[Entry]:
    """Read a file's entries in order. The first key of ``question_keys`` and ``sql_keys`` that is there is taken.

    Raises:
        UserError: an entry lacks something or its database is missing, unless ``on_error`` is "skip"; then it is
            counted in ``report``.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise UserError(f"{path}: must hold a list of questions")
    for number, raw in enumerate(content):
        problem, entry = _entry(path, number, raw, question_keys, sql_keys)
        if entry is not None and not database(entry.db_id).is_file():
            problem = f"its database {database(entry.db_id)} is missing"
        if problem:
            if on_error == "raise":
                raise UserError(f'{path}: entry {number}: {problem}; on_error = "skip" leaves such entries out')
            report[f"entries of {path.name} left out ({problem.split(' /')[0]})"] += 1
        elif entry is not None:
            yield entry


def _entry(
    path: Path, number: int, raw: Any, question_keys: Sequence[str], sql_keys: Sequence[str]
) -> tuple[str, Entry | None]:
    if not isinstance(raw, dict):
        return "is not an object", None
    found: dict[str, str] = {}
    for what, keys in (("db_id", ["db_id"]), ("question", question_keys), ("gold SQL", sql_keys)):
        value = next((raw[key] for key in keys if key in raw), None)
        if not isinstance(value, str) or not value.strip():
            return f"has no {what} ({' or '.join(keys)})", None
        found[what] = value
    if Path(found["db_id"]).name != found["db_id"]:
        return f"db_id {found['db_id']!r} is not a plain name", None
    evidence, difficulty = raw.get("evidence", ""), raw.get("difficulty")
    return "", Entry(
        path.stem,
        number,
        found["db_id"],
        found["question"],
        found["gold SQL"],
        evidence if isinstance(evidence, str) else "",
        difficulty if isinstance(difficulty, str) else None,
    )
