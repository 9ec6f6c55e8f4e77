"""Questions that a user asks on databases, beside those that a dataset has. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from kdzoo.tasks.example import Example


class Asking(Protocol):
    """Makes the prompt of any question as a dataset makes those of its own.

    ``sql_rule`` says by whose rules its statements are run.
    """

    @property
    def sql_rule(self) -> Literal["spider", "bird"]: ...

    @property
    def names(self) -> Sequence[str]:
        """The names of the dataset's databases."""
        ...

    def example(self, question: str, database: str | Path) -> Example:
        """An example without a target, on the database of that name or on any SQLite file; see `kdzoo.tasks.example`.

        Raises:
            UserError: there is no such database.
            RunError: the file is not a SQLite database, or a damaged one.
        """
        ...
