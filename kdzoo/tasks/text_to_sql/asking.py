"""Questions of a user's own on SQLite databases, with the prompts that a dataset's own questions have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from kdzoo.errors import UserError
from kdzoo.spelling import hint
from kdzoo.tasks.example import Example
from kdzoo.tasks.sql.schema import open_read_only, table_names
from kdzoo.tasks.text_to_sql.prompt_style import PromptStyle
from kdzoo.tasks.text_to_sql.questions import Question
from kdzoo.tasks.text_to_sql.schema import Comments
from kdzoo.tasks.text_to_sql.sql_examples import make_examples


class Databases(Protocol):
    """The SQLite files of a dataset by their names; see `kdzoo.tasks.text_to_sql.database_files.DatabaseFiles`."""

    def find(self, name: str) -> Path | None: ...

    def names(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class SqlAsking:
    """Implements `kdzoo.tasks.asking.Asking`.

    ``make`` makes an example of a question without SQL, and is told whether its database is the dataset's.
    """

    databases: Databases
    make: Callable[[Question, bool], Example]
    sql_rule: Literal["spider", "bird"] = "spider"

    @property
    def names(self) -> Sequence[str]:
        """The names of the dataset's databases."""
        return self.databases.names()

    def example(self, question: str, database: str | Path) -> Example:
        """An example without a target, on the dataset's database of that name or on a SQLite file.

        Raises:
            UserError: there is no such database, or it has no table.
            RunError: the file is not a SQLite database, or a damaged one.
        """
        name = database if isinstance(database, str) else database.stem
        file = self.databases.find(database) if isinstance(database, str) else database
        if file is None:
            raise UserError(f'no database is called "{name}"{hint(name, self.names)}')
        if not file.is_file():
            raise UserError(
                f"{file}: {'is a folder, not a SQLite file' if file.exists() else 'there is no such file'}"
            )
        if isinstance(database, Path):
            _check_tables(file)
        return self.make(Question("asked", name, question, "", file), isinstance(database, str))


def _check_tables(file: Path) -> None:
    with closing(open_read_only(file)) as connection:
        if not table_names(connection):
            raise UserError(f"{file}: has no table to ask about")


def asking_like(
    databases: Databases,
    style: PromptStyle,
    comments: Callable[[str], Comments | None],
    cache: Path,
    sql_rule: Literal["spider", "bird"],
) -> SqlAsking:
    """Ask with the prompts of a style; ``comments`` gives what a database's columns are called in plain words."""

    def make(question: Question, is_own: bool) -> Example:
        found = comments(question.db_id) if is_own else None
        return make_examples([question], style, {question.db_id: found or {}}, cache)[0]

    return SqlAsking(databases, make, sql_rule)
