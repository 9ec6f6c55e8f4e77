"""The databases of a test suite, and where they lie."""

from __future__ import annotations

from pathlib import Path

from kdzoo.tasks.sql.journals import is_journal

# What the official suites' folder holds its suites in.
_OFFICIAL = "database"


def suite_of(database: Path) -> list[Path]:
    """Every file in the database's folder whose name contains ``.sqlite``, as for the official evaluator.

    The journals that SQLite keeps beside a database are parts of it.
    """
    return databases_in(database.parent) or [database]


def databases_in(folder: Path) -> list[Path]:
    """The databases of the suite in a folder, in order; none if it cannot be read."""
    try:
        names = (path for path in folder.iterdir() if ".sqlite" in path.name)
        return sorted(path for path in names if path.is_file() and not is_journal(path))
    except OSError:
        return []


def suite_folder(suites: Path, name: str) -> Path:
    """Where a folder of suites has that of a database: SUITES/NAME, or SUITES/database/NAME as the official one."""
    official = suites / _OFFICIAL / name
    return official if official.is_dir() else suites / name
