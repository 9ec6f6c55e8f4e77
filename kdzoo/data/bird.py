"""BIRD (Li et al. 2023) in its official layout."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from kdzoo.data.config import BirdData
from kdzoo.data.entries import Entry, read_entries
from kdzoo.data.example import Splits
from kdzoo.data.prompt import PromptStyle
from kdzoo.data.sql_examples import Comments, ExampleMaker
from kdzoo.errors import UserError


def load_bird(config: BirdData, cache: Path) -> Splits:
    """Read BIRD's questions and build their prompts, with or without the evidence.

    A training file that is absent (the development set alone was downloaded) gives no training examples.

    Raises:
        UserError: a file or database is missing or an entry is incomplete.
    """
    root = Path(config.path)
    report: Counter[str] = Counter()
    parts = []
    for name, limit in ((config.train, config.max_train), (config.evaluation, config.max_evaluation)):
        path = root / name
        if name == config.train and not path.is_file():
            parts.append([])
            continue
        folder = database_folder(path)
        database = _finder(folder)
        entries = list(
            read_entries(
                path,
                question_keys=("question",),
                sql_keys=("SQL", "query"),
                database=database,
                on_error=config.on_error,
                report=report,
            )
        )[:limit]
        if not config.evidence:
            entries = [replace(entry, evidence="") for entry in entries]
        style = PromptStyle(values=config.values, matches=config.matching)
        maker = ExampleMaker(database, _commenter(folder), style, cache, _difficulty)
        parts.append(maker.make(entries))
    train, evaluation = parts
    return Splits(train, evaluation, task="sql", metric="bird", report=dict(report))


def database_folder(questions: Path) -> Path:
    """The folder of databases beside a question file: ``train_databases``, ``dev_databases``, or any such one.

    Raises:
        UserError: there is none.
    """
    found = sorted(questions.parent.glob("*databases"))
    if not found:
        raise UserError(f"{questions.parent}: has no folder of databases (such as dev_databases)")
    return found[0]


def read_descriptions(folder: Path) -> Comments:
    """Read a database's ``database_description`` CSV files: plain names of (table, column), in lower case.

    The files come in several encodings, some with a byte-order mark; what cannot be read as UTF-8 is read as Latin-1.
    """
    comments: Comments = {}
    for path in sorted(folder.glob("*.csv")):
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        # NUL characters stop Python's CSV reader
        for row in csv.DictReader(text.replace("\0", "").splitlines()):
            cleaned = {(key or "").strip().lower(): value for key, value in row.items() if isinstance(value, str)}
            original = cleaned.get("original_column_name", "").strip()
            plain = (cleaned.get("column_name", "") or cleaned.get("column_description", "")).strip()
            if original and plain:
                comments[path.stem.lower(), original.lower()] = plain
    return comments


def _finder(folder: Path) -> Callable[[str], Path]:
    return lambda name: folder / name / f"{name}.sqlite"


def _commenter(folder: Path) -> Callable[[str], Comments]:
    return lru_cache(maxsize=None)(lambda name: read_descriptions(folder / name / "database_description"))


def _difficulty(entry: Entry) -> str | None:
    return entry.difficulty
