"""BIRD's database_description files: one CSV a table, written by many hands in several encodings."""

from __future__ import annotations

import csv
import io
from pathlib import Path

_LONGEST_COMMENT = 100
_HEADER = ("original_column_name", "column_name", "column_description")


def read_descriptions(folder: Path) -> dict[tuple[str, str], str]:
    """Give lower-case (table, column) -> what the column means, in at most 100 characters.

    That is its full name, or the description where there is none. What cannot be read is passed over.
    """
    descriptions: dict[tuple[str, str], str] = {}
    if not folder.is_dir():
        return descriptions
    for file in sorted(folder.glob("*.csv")):
        table = file.stem.strip().lower()
        for column, meaning in _rows(file):
            descriptions[table, column.lower()] = meaning
    return descriptions


def _rows(file: Path) -> list[tuple[str, str]]:
    rows = []
    try:
        reader = csv.reader(io.StringIO(_decoded(file.read_bytes()), newline=""))
        header = [cell.strip().lower() for cell in next(reader, [])]
        # a file without the usual header still has the usual order
        positions = [header.index(name) if name in header else place for place, name in enumerate(_HEADER)]
        for row in reader:
            original, name, description = (row[p].strip() if p < len(row) else "" for p in positions)
            meaning = _short(name or description)
            if original and meaning:
                rows.append((original, meaning))
    except (OSError, csv.Error):
        return rows  # the rest of a damaged file is lost, the questions are not
    return rows


def _decoded(content: bytes) -> str:
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding).replace("\0", "")
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1").replace("\0", "")


def _short(text: str) -> str:
    """One line, cut after a word."""
    line = " ".join(text.split())
    if len(line) <= _LONGEST_COMMENT:
        return line
    return line[: _LONGEST_COMMENT + 1].rsplit(" ", 1)[0][:_LONGEST_COMMENT]
