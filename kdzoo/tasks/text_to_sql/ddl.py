"""Prompts in which the schema is written as the statements that create it, with comments, as OmniSQL (Li et al. 2025) reads it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kdzoo.tasks.sql.schema import Column, ForeignKey, Schema, Table, quoted
from kdzoo.tasks.text_to_sql.prompt_style import Match, PromptStyle

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# SQLite's words that cannot be a name without quotes.
_RESERVED = frozenset(
    [
        "ADD",
        "ALL",
        "ALTER",
        "AND",
        "AS",
        "AUTOINCREMENT",
        "BETWEEN",
        "CASE",
        "CHECK",
        "COLLATE",
        "COMMIT",
        "CONSTRAINT",
        "CREATE",
        "DEFAULT",
        "DEFERRABLE",
        "DELETE",
        "DISTINCT",
        "DROP",
        "ELSE",
        "ESCAPE",
        "EXCEPT",
        "EXISTS",
        "FOREIGN",
        "FROM",
        "GROUP",
        "HAVING",
        "IN",
        "INDEX",
        "INSERT",
        "INTERSECT",
        "INTO",
        "IS",
        "ISNULL",
        "JOIN",
        "LIMIT",
        "NOT",
        "NOTHING",
        "NOTNULL",
        "NULL",
        "ON",
        "OR",
        "ORDER",
        "PRIMARY",
        "REFERENCES",
        "RETURNING",
        "SELECT",
        "SET",
        "TABLE",
        "THEN",
        "TO",
        "TRANSACTION",
        "UNION",
        "UNIQUE",
        "UPDATE",
        "USING",
        "VALUES",
        "WHEN",
        "WHERE",
    ]
)


def schema_text(schema: Schema, style: PromptStyle) -> str:
    """Write a statement for each table, with the first values and the meaning of its columns as comments."""
    statements = [_table(table, schema.foreign_keys if style.keys else (), style) for table in schema.tables]
    return "\n\n".join(["Database schema:", *statements]) + "\n\n"


def question_text(question: str, style: PromptStyle, matches: Sequence[Match], evidence: str) -> str:
    """Write what belongs to one question; what it does not have is left out."""
    lines = []
    if style.matches and matches:
        lines.append("Contents that the question mentions:")
        lines += [f"{_name(m.table)}.{_name(m.column)}: {', '.join(map(_text, m.values))}" for m in matches]
    if evidence.strip():
        lines.append(f"External knowledge: {' '.join(evidence.split())}")
    lines.append(f"Question: {' '.join(question.split())}")
    return "\n".join(lines) + "\n"


def _table(table: Table, keys: Sequence[ForeignKey], style: PromptStyle) -> str:
    primary = table.primary_key if style.details else ()
    clauses = [_column(column, primary, style) for column in table.columns]
    if len(primary) > 1:
        clauses.append((f"PRIMARY KEY ({_names(primary)})", ""))
    clauses += [
        (
            f"FOREIGN KEY ({_names(key.columns)}) REFERENCES {_name(key.other_table)} ({_names(key.other_columns)})",
            "",
        )
        for key in keys
        if key.table == table.name
    ]
    lines = [
        f"    {clause}{',' if number < len(clauses) else ''}{f' -- {comment}' if comment else ''}"
        for number, (clause, comment) in enumerate(clauses, start=1)
    ]
    return "\n".join([f"CREATE TABLE {_name(table.name)} (", *lines, ");"])


def _column(column: Column, primary: Sequence[str], style: PromptStyle) -> tuple[str, str]:
    """A column's clause, and the comment behind it."""
    clause, comments = _name(column.name), []
    if style.details:
        clause += f" {column.type}" + (" PRIMARY KEY" if primary == (column.name,) else "")
        comments.append(" ".join(column.comment.split()))
    if style.values and column.values:
        show = _text if column.affinity == "text" else str
        comments.append(f"example: [{', '.join(show(value) for value in column.values)}]")
    return clause, ", ".join(filter(None, comments))


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(_name, names))


def _name(name: str) -> str:
    is_plain = _PLAIN_NAME.fullmatch(name) and name.upper() not in _RESERVED
    return name if is_plain else quoted(name)


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
