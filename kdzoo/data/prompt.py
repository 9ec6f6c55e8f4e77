"""The prompt of a SQL question, after CodeS (Li et al. 2024): schema, keys, matched contents, knowledge, question.

What belongs to the database alone comes first, so that all questions on one database begin alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kdzoo.data.schema import Column, Schema, Table

_NEEDS_QUOTES = re.compile(r"[(\-)/ ]")


@dataclass(frozen=True)
class Match:
    """Contents of a column that a question mentions."""

    table: str
    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class PromptStyle:
    """Which parts a prompt has."""

    details: bool = True
    values: bool = True
    matches: bool = True


FULL = PromptStyle()
COMPACT = PromptStyle(details=False, values=False, matches=False)


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
    lines += [
        f"table {_name(table.name)} , columns = [ {' , '.join(_column(table, c, style) for c in table.columns)} ]"
        for table in schema.tables
    ]
    lines.append("foreign keys :" + ("" if schema.foreign_keys else " None"))
    lines += [
        f"{_name(key.table)}.{_name(key.column)} = {_name(key.other_table)}.{_name(key.other_column)}"
        for key in schema.foreign_keys
    ]
    return "\n".join(lines) + "\n"


def question_text(question: str, style: PromptStyle, matches: Sequence[Match], evidence: str) -> str:
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
    name = f"{_name(table.name)}.{_name(column.name)}"
    if not style.details:
        return name
    parts = [column.type]
    if column.primary_key:
        parts.append("primary key")
    comment = " ".join(column.comment.lower().split())
    if comment and comment.replace(" ", "_") != column.name.lower() and comment != column.name.lower():
        parts.append(f"comment : {comment}")
    if style.values and column.values:
        parts.append("values : " + " , ".join(column.values))
    return f"{name} ( {' | '.join(parts)} )"


def _name(name: str) -> str:
    lowered = name.lower()
    return f"`{lowered}`" if _NEEDS_QUOTES.search(lowered) else lowered
