"""The databases of a test suite."""

from __future__ import annotations

from pathlib import Path


def suite_of(database: Path) -> list[Path]:
    """Every file in the database's folder whose name contains ``.sqlite``, as for the official evaluator."""
    try:
        beside = (path for path in database.parent.iterdir() if ".sqlite" in path.name and path.is_file())
        return sorted(beside) or [database]
    except OSError:
        return [database]
