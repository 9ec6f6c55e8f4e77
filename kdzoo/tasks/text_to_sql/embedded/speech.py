"""Choosing words and values for a question, together with the SQL that they stand for."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from kdzoo.tasks.text_to_sql.embedded.domains import Category, Domain, Label, Number, TableSpec

Column = Label | Category | Number

AGGREGATES = {
    "AVG": ("average", "mean"),
    "MAX": ("highest", "maximum", "greatest"),
    "MIN": ("lowest", "minimum", "smallest"),
    "SUM": ("total", "summed"),
}

_COMPARISONS = (
    (("more than", "above", "over", "greater than"), ">"),
    (("less than", "below", "under", "fewer than"), "<"),
    (("at least", "no less than"), ">="),
    (("at most", "no more than"), "<="),
)


@dataclass(frozen=True)
class Speaker:
    """Speaks about one domain. What is said depends on ``source`` alone."""

    domain: Domain
    source: random.Random

    def one(self, options: Sequence[str]) -> str:
        """Any of several words."""
        return self.source.choice(options)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.source.random() < probability

    def table(self) -> TableSpec:
        """Either table."""
        return self.source.choice([self.domain.parent, self.domain.child])

    def noun(self, table: TableSpec) -> str:
        """A plural word for a table's rows."""
        return self.one(table.nouns)

    def phrase(self, column: Column) -> str:
        """A plural word for a column's values."""
        return self.one(column.phrases)

    def any_column(self, table: TableSpec) -> Column:
        """Any column but the keys."""
        return self.source.choice([table.label, *table.columns])

    def text_column(self, table: TableSpec) -> Label | Category:
        """The label or a category."""
        texts: list[Label | Category] = [table.label, *table.categories]
        return self.source.choice(texts)

    def category(self, table: TableSpec) -> Category:
        """A column with few values."""
        return self.source.choice(table.categories)

    def number(self, table: TableSpec) -> Number:
        """An integer column."""
        return self.source.choice(table.numbers)

    def show(self) -> str:
        """The beginning of a request."""
        return self.one(("list", "show", "give me", "what are", "find", "tell me"))

    def aggregate(self) -> tuple[str, str]:
        """An aggregate function in words and in SQL."""
        name = self.one(tuple(AGGREGATES))
        return self.one(AGGREGATES[name]), name

    def threshold(self, column: Number) -> int:
        """A value that some rows lie above and some below."""
        eighth = (column.high - column.low) // 8
        return self.source.randint(column.low + eighth, column.high - eighth)

    def comparison(self, column: Number) -> tuple[str, str]:
        """A condition on a number in words ("ages above 30") and in SQL."""
        words, operator = self.source.choice(_COMPARISONS)
        value = self.threshold(column)
        return f"{self.phrase(column)} {self.one(words)} {value}", f"{column.name} {operator} {value}"

    def equality(self, table: TableSpec) -> tuple[str, str]:
        """A condition on a category in words ("whose country is France") and in SQL."""
        column = self.category(table)
        value = self.one(column.values)
        words = self.one(("is", "equals", "happens to be"))
        return f"whose {column.name} {words} {value}", f"{column.name} = '{value}'"

    def condition(self, table: TableSpec) -> tuple[str, str]:
        """Any simple condition in words that follow the table's noun, and in SQL."""
        if self.chance(0.5):
            return self.equality(table)
        words, sql = self.comparison(self.number(table))
        return f"with {words}", sql

    def maybe_where(self, probability: float, table: TableSpec, alias: str = "") -> tuple[str, str]:
        """A condition with its space and its WHERE, or two empty texts."""
        if not self.chance(probability):
            return "", ""
        words, sql = self.condition(table)
        return f" {words}", f" WHERE {alias}{sql}"

    def join(self) -> str:
        """The FROM part over both tables: T1 is the child, T2 the parent."""
        parent, child = self.domain.parent, self.domain.child
        return f"{child.name} AS T1 JOIN {parent.name} AS T2 ON T1.{parent.key} = T2.{parent.key}"
