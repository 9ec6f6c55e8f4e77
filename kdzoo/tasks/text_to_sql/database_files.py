"""Finding a dataset's SQLite files and what its tables file says of their columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kdzoo.errors import UserError
from kdzoo.tasks.text_to_sql.questions import read_json_list


class DatabaseFiles:
    """The SQLite files of one dataset: FOLDER/NAME/NAME.sqlite in the first of its folders that has them.

    ``only`` are the names that count, where that is not all.
    """

    def __init__(self, folders: Sequence[Path], only: Sequence[str] | None = None) -> None:
        self._folders = folders
        self._only = only
        self._found: dict[str, Path | None] = {}

    def find(self, name: str) -> Path | None:
        """Give the file of a database's name, or None."""
        if name not in self._found:
            self._found[name] = self._look_for(name)
        return self._found[name]

    def names(self) -> list[str]:
        """The names of all databases, in order. A folder that cannot be read has none."""
        found: set[str] = set()
        for folder in self._folders:
            with suppress(OSError):
                found.update(entry.name for entry in folder.iterdir())
        return sorted(name for name in found if self.find(name) is not None)

    def _look_for(self, name: str) -> Path | None:
        if Path(name).name != name or name == ".." or "\0" in name:
            return None  # a name that leads out of the folder
        if self._only is not None and name not in self._only:
            return None
        for folder in self._folders:
            file = folder / name / f"{name}.sqlite"
            with suppress(OSError):  # a name that is too long for the system names no file
                if file.is_file():
                    return file
        return None


def read_column_names(files: Iterable[Path]) -> dict[str, dict[tuple[str, str], str]]:
    """Read from Spider's or BIRD's tables.json what each database's columns are called in plain words.

    Gives, by database, lower-case (table, column) -> words. A file that is not there gives nothing.

    Raises:
        UserError: a file is not JSON, or an entry is not as the official format has it.
    """
    names: dict[str, dict[tuple[str, str], str]] = {}
    for file in files:
        if not file.is_file():
            continue
        for number, entry in enumerate(read_json_list(file)):
            try:
                names[entry["db_id"]] = _names(entry)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                problem = f"{type(error).__name__}: {error}"
                raise UserError(
                    f"{file}: entry {number}: not in the official format of tables.json: {problem}"
                ) from None
    return names


def _names(entry: Any) -> dict[tuple[str, str], str]:
    tables = entry["table_names_original"]
    return {
        (tables[table].lower(), column.lower()): words
        for (table, column), (_, words) in zip(
            entry["column_names_original"], entry["column_names"], strict=True
        )
        if table >= 0
    }
