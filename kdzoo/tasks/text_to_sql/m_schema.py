"""Prompts in M-Schema, the form in which XiYan-SQL (Gao et al. 2024) reads a database: a line a column, with examples."""

from __future__ import annotations

from collections.abc import Sequence

from kdzoo.tasks.sql.schema import Column, Schema, Table
from kdzoo.tasks.text_to_sql.prompt_style import Match, PromptStyle


def schema_text(schema: Schema, style: PromptStyle, database: str) -> str:
    """Write the database's name, its tables with a line for each column, and its foreign keys."""
    lines = [f"【DB_ID】 {database}", "【Schema】"]
    for table in schema.tables:
        lines += _table(table, style)
    keys = [pair for key in schema.foreign_keys for pair in key.pairs] if style.keys else []
    if keys:
        lines.append("【Foreign keys】")
        lines += [
            f"{table}.{column}={other}.{other_column}" for (table, column), (other, other_column) in keys
        ]
    return "\n".join(lines) + "\n\n"


def question_text(question: str, style: PromptStyle, matches: Sequence[Match], evidence: str) -> str:
    """Write what belongs to one question; what it does not have is left out."""
    parts = []
    if style.matches and matches:
        found = "\n".join(f"{match.table}.{match.column}: {', '.join(match.values)}" for match in matches)
        parts.append(f"【Matched contents】\n{found}")
    parts.append(f"【Question】\n{' '.join(question.split())}")
    if evidence.strip():
        parts.append(f"【Evidence】\n{' '.join(evidence.split())}")
    return "\n\n".join(parts) + "\n"


def _table(table: Table, style: PromptStyle) -> list[str]:
    columns = ",\n".join(_column(column, style) for column in table.columns)
    return [f"# Table: {table.name}", "[", columns, "]"]


def _column(column: Column, style: PromptStyle) -> str:
    parts = [f"{column.name}:{column.type.upper()}" if style.details else column.name]
    if style.details:
        if column.primary_key:
            parts.append("Primary Key")
        parts.append(" ".join(column.comment.split()))
    if style.values and column.values:
        parts.append(f"Examples: [{', '.join(map(str, column.values))}]")
    return f"({', '.join(filter(None, parts))})"
