"""The prompt of a SQL question, in the form that its style names; CodeS's (Li et al. 2024) is written here.

In this order: schema, foreign keys, matched contents, external knowledge, question. What belongs to the
database alone comes first, so that all questions on one database begin alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kdzoo.tasks.sql.schema import Column, Schema, Table
from kdzoo.tasks.text_to_sql import ddl, m_schema
from kdzoo.tasks.text_to_sql.prompt_style import FULL, Match, PromptStyle

_NEEDS_QUOTES = re.compile(r"[(\-)/ ]")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")


def prompt_text(
    schema: Schema,
    question: str,
    style: PromptStyle = FULL,
    matches: Sequence[Match] = (),
    evidence: str = "",
    database: str = "",
) -> str:
    """Write the whole prompt; ``database`` is the database's name, which some forms show."""
    return schema_text(schema, style, database) + question_text(question, style, matches, evidence)


def schema_text(schema: Schema, style: PromptStyle = FULL, database: str = "") -> str:
    """Write the part that all questions on a database share: its tables, and the foreign keys."""
    if style.form == "ddl":
        return ddl.schema_text(schema, style)
    if style.form == "m_schema":
        return m_schema.schema_text(schema, style, database)
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
    if style.form == "ddl":
        return ddl.question_text(question, style, matches, evidence)
    if style.form == "m_schema":
        return m_schema.question_text(question, style, matches, evidence)
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
