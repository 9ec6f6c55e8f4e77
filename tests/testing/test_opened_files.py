"""What is read is seen, however it is opened; what is written on the way is not among it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from kdzoo.testing.opened_files import files_read


def by_sqlite(path: Path) -> None:
    sqlite3.connect(f"file:{path}?mode=ro", uri=True).close()


def by_number(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    with os.fdopen(number) as file:
        file.read()


@pytest.mark.parametrize(
    "read",
    [
        lambda path: path.read_text(),
        lambda path: Path(os.fsencode(path).decode()).read_bytes(),
        lambda path: open(os.fsencode(path)).close(),
        by_number,
        lambda path: sqlite3.connect(path).close(),
        by_sqlite,
    ],
    ids=["text", "bytes", "encoded", "number", "database", "URI"],
)
def test_a_file_that_is_read_is_seen(tmp_path: Path, read: Callable[[Path], None]) -> None:
    file, other = tmp_path / "the file", tmp_path / "other"
    for path in (file, other):
        path.write_text("")
    with files_read() as found:
        read(file)
    other.read_text()
    assert found == {file}


def test_what_was_made_on_the_way_is_not(tmp_path: Path) -> None:
    with files_read() as found:
        (tmp_path / "made").write_text("more")
        (tmp_path / "made").read_text()
        sqlite3.connect(":memory:").close()
    assert found == set()


def test_two_may_watch_at_once(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("")
    with files_read() as outer:
        (tmp_path / "a").read_text()
        with files_read() as inner:
            (tmp_path / "b").read_text()
    assert ([path.name for path in sorted(outer)], [path.name for path in inner]) == (["a", "b"], ["b"])
