"""What a text-to-SQL prompt may be made of, and in which form it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Form = Literal["codes", "ddl", "m_schema"]


@dataclass(frozen=True)
class Match:
    """Contents of a column that a question mentions."""

    table: str
    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class PromptStyle:
    """Which parts a prompt has, and its form. ``details`` are a column's type, primary key and comment."""

    details: bool = True
    values: bool = True
    keys: bool = True
    matches: bool = True
    form: Form = "codes"


FULL = PromptStyle()
