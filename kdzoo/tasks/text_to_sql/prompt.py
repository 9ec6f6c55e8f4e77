"""The prompt of a SQL question, after CodeS (Li et al. 2024).

In this order: schema, foreign keys, matched contents, external knowledge, question. What belongs to the
database alone comes first, so that all questions on one database begin alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kdzoo.tasks.sql.schema import Column, Schema, Table

_NEEDS_QUOTES = re.compile(r"[(\-)/ ]")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Match:
    """Contents of a column that a question mentions."""

    table: str
    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class PromptStyle:
    """Which parts a prompt has. ``details`` are a column's type, primary key and comment."""

    details: bool = True
    values: bool = True
    keys: bool = True
    matches: bool = True


FULL = PromptStyle()


def prompt_text(
    schema: Schema,
    question: str,
    style: PromptStyle = FULL,
    matches: Sequence[Match] = (),
    evidence: str = "",
) -> str:
    """Write the whole prompt."""
    return schema_text(schema, style) + question_text(question, style, matches, evidence)


def schema_text(schema: Schema, style: PromptStyle = FULL) -> str:
    """Write the part that all questions on a database share: one line a table, then the foreign keys."""
    lines = ["database schema :"]
    for table in schema.tables:
        columns = " , ".join(_column(table, column, style) for column in table.columns)
        lines.append(f"table {_name(table.name)} , columns = [ {columns} ]")
    if style.keys:
        lines.append("foreign keys :" + ("" if schema.foreign_keys else " None"))
        lines += [
            f"{_name(table)}.{_name(column)} = {_name(other_table)}.{_name(other_column)}"
            for key in schema.foreign_keys
            for (table, column), (other_table, other_column) in key.pairs
        ]
    return "\n".join(lines) + "\n"


def question_text(
    question: str, style: PromptStyle, matches: Sequence[Match] = (), evidence: str = ""
) -> str:
    """Write the part that belongs to one question."""
    lines = []
    if style.matches:
        lines.append("matched contents :" + ("" if matches else " None"))
        lines += [f"{_name(m.table)}.{_name(m.column)} ( {' , '.join(m.values)} )" for m in matches]
    if evidence.strip():
        lines.append(" ".join(evidence.split()))
    lines.append(" ".join(question.split()))
    return "\n".join(lines) + "\n"


def _column(table: Table, column: Column, style: PromptStyle) -> str:
    parts = []
    if style.details:
        parts.append(column.type)
        if column.primary_key:
            parts.append("primary key")
        comment = " ".join(column.comment.lower().split())
        if comment and not _repeats(comment, column.name):
            parts.append(f"comment : {comment}")
    if style.values and column.values:
        parts.append("values : " + " , ".join(column.values))
    name = f"{_name(table.name)}.{_name(column.name)}"
    return f"{name} ( {' | '.join(parts)} )" if parts else name


def _repeats(comment: str, name: str) -> bool:
    """Whether a comment says no more than the name: "singer id" of Singer_ID."""
    return _NOT_ALPHANUMERIC.sub("", comment) == _NOT_ALPHANUMERIC.sub("", name.lower())


def _name(name: str) -> str:
    lowered = name.lower()
    return f"`{lowered}`" if _NEEDS_QUOTES.search(lowered) else lowered
