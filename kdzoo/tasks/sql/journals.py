"""Reading a database together with its journals, and without touching the folder that they lie in.

Of a database in WAL mode, rows that are already its own may still stand in NAME-wal; NAME-journal says what an
interrupted change must be undone with. SQLite would write to the folder to read either, which may be
forbidden and is nobody's wish. So such a database is copied with its journals, and SQLite settles the copy.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from kdzoo.errors import RunError

_WITH_CONTENT = ("-wal", "-journal")
_ENDINGS = (*_WITH_CONTENT, "-shm")


def is_journal(file: Path) -> bool:
    """Whether a file, told by its name, is no database but what SQLite keeps beside one."""
    return file.name.endswith(_ENDINGS)


def journals_of(database: Path) -> list[Path]:
    """The journals beside a database that are not empty. Of a link they lie beside the file itself."""
    real = database.resolve()
    beside = [real.with_name(real.name + ending) for ending in _WITH_CONTENT]
    return [file for file in beside if file.is_file() and file.stat().st_size > 0]


@contextmanager
def settled(database: Path) -> Iterator[Path]:
    """Give a file that holds all of a database: itself, or while the block runs a copy of the same name.

    Raises:
        RunError: there are journals, and no copy can be made.
    """
    journals = journals_of(database)
    if not journals or not database.is_file():
        yield database
        return
    with tempfile.TemporaryDirectory(prefix="kdzoo-") as folder:
        copy = Path(folder) / database.name
        try:
            shutil.copyfile(database, copy)
            for journal in journals:
                ending = journal.name.removeprefix(database.resolve().name)
                shutil.copyfile(journal, copy.with_name(copy.name + ending))
        except OSError as error:
            names = " and ".join(journal.name for journal in journals)
            raise RunError(f"{database}: cannot be copied with its {names}: {error.strerror}") from None
        # what is no database is told by who reads it
        with suppress(sqlite3.Error), closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
        yield copy
