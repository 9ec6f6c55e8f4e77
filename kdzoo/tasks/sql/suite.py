"""The databases of a test suite."""

from __future__ import annotations

from pathlib import Path

from kdzoo.tasks.sql.journals import is_journal


def suite_of(database: Path) -> list[Path]:
    """Every file in the database's folder whose name contains ``.sqlite``, as for the official evaluator.

    The journals that SQLite keeps beside a database are parts of it.
    """
    try:
        names = (path for path in database.parent.iterdir() if ".sqlite" in path.name)
        beside = (path for path in names if path.is_file() and not is_journal(path))
        return sorted(beside) or [database]
    except OSError:
        return [database]
