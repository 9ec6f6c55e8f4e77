"""Shortening prompts to the input limit by dropping what the question needs least."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kdzoo.tasks.sql.schema import ForeignKey, Schema, Table
from kdzoo.tasks.text_to_sql.prompt import prompt_text
from kdzoo.tasks.text_to_sql.prompt_style import Match, PromptStyle
from kdzoo.tasks.text_to_sql.questions import Question
from kdzoo.tasks.text_to_sql.text_index import TextIndex
from kdzoo.tasks.text_to_sql.used_columns import Place, used_columns

_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])|_+")


@dataclass(frozen=True)
class SqlPrompt:
    """What the prompt of one question is made of."""

    schema: Schema
    question: Question
    style: PromptStyle
    matches: tuple[Match, ...]

    def shortened(self, fits: Callable[[str], bool], training: bool) -> str:
        """Write the prompt with as many columns as fit, those that are most related to the question (BM25).

        Tables without a column, and keys and contents of columns that are not there, are gone with them. In
        training the columns that the gold SQL uses stay, even if the prompt then does not fit.
        """
        kept_always = (
            used_columns(self.question.sql, self.question.database, self.schema) if training else set()
        )
        ranked = sorted(self._by_relevance(), key=lambda place: place not in kept_always)
        fewest, most = max(1, len(kept_always)), len(ranked)
        while fewest < most:
            middle = (fewest + most + 1) // 2
            if fits(self._text(ranked[:middle])):
                fewest = middle
            else:
                most = middle - 1
        return self._text(ranked[:fewest])

    def _by_relevance(self) -> list[Place]:
        """All columns, the most related first: by the BM25 scores of the column and of its table together."""
        query = f"{self.question.text} {self.question.evidence}"
        columns = [(table, column) for table in self.schema.tables for column in table.columns]
        mentioned = {(m.table, m.column): " ".join(m.values) for m in self.matches}
        of_columns = _scores(
            (f"{_words(c.name)} {c.comment} {mentioned.get((t.name, c.name), '')}" for t, c in columns), query
        )
        of_tables = _scores((_table_words(table) for table in self.schema.tables), query)
        table_number = {table.name: number for number, table in enumerate(self.schema.tables)}
        keys = {place for key in self.schema.foreign_keys for pair in key.pairs for place in pair}

        def relevance(number: int) -> tuple[float, bool]:
            table, column = columns[number]
            score = of_columns.get(number, 0.0) + of_tables.get(table_number[table.name], 0.0)
            # of columns that are related alike, joins need the keys
            return score, column.primary_key > 0 or (table.name, column.name) in keys

        ordered = sorted(range(len(columns)), key=relevance, reverse=True)
        return [(columns[number][0].name, columns[number][1].name) for number in ordered]

    def _text(self, places: Iterable[Place]) -> str:
        kept = set(places)
        tables = [
            Table(table.name, tuple(c for c in table.columns if (table.name, c.name) in kept))
            for table in self.schema.tables
        ]
        keys = tuple(
            ForeignKey(table, (column,), other_table, (other_column,))
            for key in self.schema.foreign_keys
            for (table, column), (other_table, other_column) in key.pairs
            if (table, column) in kept and (other_table, other_column) in kept
        )
        schema = Schema(tuple(table for table in tables if table.columns), keys)
        matches = [match for match in self.matches if (match.table, match.column) in kept]
        asked = self.question
        return prompt_text(schema, asked.text, self.style, matches, asked.evidence, asked.db_id)


def _scores(texts: Iterable[str], query: str) -> dict[int, float]:
    with TextIndex() as index:
        texts = list(texts)
        index.add(texts)
        return dict(index.search(query, len(texts)))


def _table_words(table: Table) -> str:
    return " ".join([_words(table.name), *(f"{_words(c.name)} {c.comment}" for c in table.columns)])


def _words(name: str) -> str:
    """The words of an identifier: "stuId" is "stu Id"."""
    return _CAMEL_CASE.sub(" ", name)
