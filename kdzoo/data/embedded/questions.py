"""The questions of the embedded benchmark: what people may ask of a domain, in varied words, and the SQL for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kdzoo.data.embedded.domains import Category, Domain, Label, Number, TableSpec


@dataclass(frozen=True)
class Asked:
    """One question and its gold SQL; ``family`` names the kind of question."""

    question: str
    sql: str
    family: str


@dataclass(frozen=True)
class _Speaker:
    """Chooses words and values for one question."""

    domain: Domain
    source: random.Random

    def one(self, options: tuple[str, ...] | list[str]) -> str:
        return self.source.choice(options)

    def table(self) -> TableSpec:
        return self.source.choice([self.domain.parent, self.domain.child])

    def noun(self, table: TableSpec) -> str:
        return self.one(table.nouns)

    def phrase(self, column: Label | Category | Number) -> str:
        return self.one(column.phrases)

    def category(self, table: TableSpec) -> Category:
        return self.source.choice(table.categories)

    def number(self, table: TableSpec) -> Number:
        return self.source.choice(table.numbers)

    def show(self) -> str:
        return self.one(("list", "show", "give me", "what are", "find", "tell me"))

    def threshold(self, column: Number) -> int:
        span = column.high - column.low
        return self.source.randint(column.low + span // 8, column.high - span // 8)

    def comparison(self, column: Number) -> tuple[str, str]:
        """A condition on a number in words and in SQL."""
        value = self.threshold(column)
        words, operator = self.source.choice(
            [
                (("more than", "above", "over", "greater than"), ">"),
                (("less than", "below", "under", "fewer than"), "<"),
                (("at least", "no less than"), ">="),
                (("at most", "no more than"), "<="),
            ]
        )
        return f"{self.phrase(column)} {self.one(words)} {value}", f"{column.name} {operator} {value}"

    def equality(self, column: Category) -> tuple[str, str]:
        value = self.one(column.values)
        words = self.one(("is", "equals", "being"))
        return f"whose {column.name} {words} {value}", f"{column.name} = '{value}'"

    def condition(self, table: TableSpec) -> tuple[str, str]:
        if self.source.random() < 0.5:
            return self.equality(self.category(table))
        words, sql = self.comparison(self.number(table))
        return f"with {words}", sql


_AGGREGATES = {
    "AVG": ("average", "mean"),
    "MAX": ("highest", "maximum", "greatest"),
    "MIN": ("lowest", "minimum", "smallest"),
    "SUM": ("total", "summed"),
}


def _columns(s: _Speaker) -> tuple[str, str]:
    table = s.table()
    columns: list[Label | Category | Number] = [table.label, *table.columns]
    chosen = s.source.sample(columns, s.source.choice([1, 2, 2, 3]))
    words = " and ".join(s.phrase(c) for c in chosen)
    text = f"{s.show()} the {words} of {s.one(('all', 'the'))} {s.noun(table)}"
    return text, f"SELECT {', '.join(c.name for c in chosen)} FROM {table.name}"


def _filtered(s: _Speaker) -> tuple[str, str]:
    table = s.table()
    column = s.source.choice([table.label, *table.columns])
    words, condition = s.condition(table)
    text = f"{s.show()} the {s.phrase(column)} of {s.noun(table)} {words}"
    return text, f"SELECT {column.name} FROM {table.name} WHERE {condition}"


def _two_conditions(s: _Speaker) -> tuple[str, str]:
    table = s.table()
    words, equal = s.equality(s.category(table))
    more, compared = s.comparison(s.number(table))
    joint, sql = s.source.choice([("and with", "AND"), ("or with", "OR")])
    text = f"{s.show()} the {s.phrase(table.label)} of {s.noun(table)} {words} {joint} {more}"
    return text, f"SELECT {table.label.name} FROM {table.name} WHERE {equal} {sql} {compared}"


def _either(s: _Speaker) -> tuple[str, str]:
    table = s.table()
    column = s.category(table)
    a, b = s.source.sample(column.values, 2)
    text = (
        f"{s.show()} the {s.phrase(table.label)} of {s.noun(table)} whose {column.name} is either {a} or {b}"
    )
    return (
        text,
        f"SELECT {table.label.name} FROM {table.name} WHERE {column.name} = '{a}' OR {column.name} = '{b}'",
    )


def _between(s: _Speaker) -> tuple[str, str]:
    table = s.table()
    column = s.number(table)
    a, b = sorted((s.threshold(column), s.threshold(column)))
    text = f"which {s.noun(table)} have {s.phrase(column)} between {a} and {b} ? {s.show()} their {s.phrase(table.label)}"
    return text, f"SELECT {table.label.name} FROM {table.name} WHERE {column.name} BETWEEN {a} AND {b}"


def _count(s: _Speaker) -> tuple[str, str]:
    table = s.table()
    how = s.one(("how many", "count the", "what is the number of"))
    if s.source.random() < 0.15:
        return (
            f"{how} {s.noun(table)} {s.one(('are there', 'do we have', 'exist'))}",
            f"SELECT COUNT(*) FROM {table.name}",
        )
    words, condition = s.condition(table)
    return f"{how} {s.noun(table)} {words}", f"SELECT COUNT(*) FROM {table.name} WHERE {condition}"


def _aggregate(s: _Speaker) -> tuple[str, str]:
    table = s.table()
    column = s.number(table)
    name = s.one(list(_AGGREGATES))
    text = f"{s.one(('what is the', 'give the', 'find the'))} {s.one(_AGGREGATES[name])} {column.name} of {s.noun(table)}"
    sql = f"SELECT {name}({column.name}) FROM {table.name}"
    if s.source.random() < 0.75:
        words, condition = s.condition(table)
        return f"{text} {words}", f"{sql} WHERE {condition}"
    return text, sql


def _grouped(s: _Speaker) -> tuple[str, str]:
    table = s.table()
    column = s.category(table)
    per = s.one(("for each", "per", "by", "for every"))
    if s.source.random() < 0.4:
        what, value = f"number of {s.noun(table)}", "COUNT(*)"
    else:
        number, name = s.number(table), s.one(list(_AGGREGATES))
        what, value = f"{s.one(_AGGREGATES[name])} {number.name} of {s.noun(table)}", f"{name}({number.name})"
    where = ""
    if s.source.random() < 0.5:
        words, compared = s.comparison(s.number(table))
        what, where = f"{what} with {words}", f" WHERE {compared}"
    text = f"{s.show()} the {what} {per} {column.name}"
    return text, f"SELECT {column.name}, {value} FROM {table.name}{where} GROUP BY {column.name}"


def _having(s: _Speaker) -> tuple[str, str]:
    table = s.table()
    column = s.category(table)
    if s.source.random() < 0.5:
        value = s.source.randint(2, 15)
        text = f"which {s.phrase(column)} have {s.one(('more than', 'over'))} {value} {s.noun(table)}"
        having = f"COUNT(*) > {value}"
    else:
        number = s.number(table)
        value = s.threshold(number)
        text = f"for which {s.phrase(column)} is the {s.one(_AGGREGATES['AVG'])} {number.name} of {s.noun(table)} {s.one(('above', 'over'))} {value}"
        having = f"AVG({number.name}) > {value}"
    return text, f"SELECT {column.name} FROM {table.name} GROUP BY {column.name} HAVING {having}"


def _ordered(s: _Speaker) -> tuple[str, str]:
    table = s.table()
    column, number = s.source.choice([table.label, *table.categories]), s.number(table)
    words, direction = s.source.choice(
        [(("descending", "falling", "decreasing"), "DESC"), (("ascending", "rising", "increasing"), "ASC")]
    )
    where = ""
    noun = s.noun(table)
    if s.source.random() < 0.6:
        condition, sql = s.condition(table)
        noun, where = f"{noun} {condition}", f" WHERE {sql}"
    text = f"{s.show()} the {s.phrase(column)} of {noun} in {s.one(words)} order of {number.name}"
    return text, f"SELECT {column.name} FROM {table.name}{where} ORDER BY {number.name} {direction}"


def _extreme(s: _Speaker) -> tuple[str, str]:
    table = s.table()
    number = s.number(table)
    column = s.source.choice([table.label, *table.categories])
    word, direction = s.source.choice([(number.most, "DESC"), (number.least, "ASC")])
    where, tail = "", ""
    if s.source.random() < 0.6:
        tail, sql = s.equality(s.category(table))
        tail, where = f" {tail}", f" WHERE {sql}"
    if s.source.random() < 0.5:
        count = s.source.randint(2, 9)
        text = f"{s.show()} the {s.phrase(column)} of the {count} {word} {s.noun(table)}{tail}"
    else:
        count = 1
        text = f"what is the {column.name} of the {word} {table.singular}{tail}"
    return (
        text,
        f"SELECT {column.name} FROM {table.name}{where} ORDER BY {number.name} {direction} LIMIT {count}",
    )


def _distinct(s: _Speaker) -> tuple[str, str]:
    table = s.table()
    column = s.category(table)
    words, compared = s.comparison(s.number(table))
    if s.source.random() < 0.5:
        text = f"how many different {s.phrase(column)} do {s.noun(table)} with {words} have"
        return text, f"SELECT COUNT(DISTINCT {column.name}) FROM {table.name} WHERE {compared}"
    text = f"{s.show()} the {s.one(('different', 'distinct'))} {s.phrase(column)} of {s.noun(table)} with {words}"
    return text, f"SELECT DISTINCT {column.name} FROM {table.name} WHERE {compared}"


def _join(s: _Speaker) -> str:
    parent, child = s.domain.parent, s.domain.child
    return f"{child.name} AS T1 JOIN {parent.name} AS T2 ON T1.{parent.key} = T2.{parent.key}"


def _joined_filter(s: _Speaker) -> tuple[str, str]:
    parent, child = s.domain.parent, s.domain.child
    column = s.source.choice([child.label, *child.columns])
    words, condition = s.condition(parent)
    text = (
        f"{s.show()} the {s.phrase(column)} of {s.noun(child)} that {s.noun(parent)} {words} {s.domain.verb}"
    )
    return text, f"SELECT T1.{column.name} FROM {_join(s)} WHERE T2.{condition}"


def _joined_back(s: _Speaker) -> tuple[str, str]:
    parent, child = s.domain.parent, s.domain.child
    column = s.source.choice([parent.label, *parent.columns])
    words, condition = s.condition(child)
    text = (
        f"{s.show()} the {s.phrase(column)} of {s.noun(parent)} that {s.domain.verb} {s.noun(child)} {words}"
    )
    return text, f"SELECT T2.{column.name} FROM {_join(s)} WHERE T1.{condition}"


def _joined_count(s: _Speaker) -> tuple[str, str]:
    parent, child = s.domain.parent, s.domain.child
    where, tail = "", ""
    if s.source.random() < 0.7:
        words, sql = s.condition(child)
        tail, where = f" {words}", f" WHERE T1.{sql}"
    text = f"{s.one(('how many', 'what is the number of'))} {s.noun(child)}{tail} for each {parent.singular} ? {s.show()} the {s.phrase(parent.label)}"
    return text, f"SELECT T2.{parent.label.name}, COUNT(*) FROM {_join(s)}{where} GROUP BY T1.{parent.key}"


def _joined_aggregate(s: _Speaker) -> tuple[str, str]:
    parent, child = s.domain.parent, s.domain.child
    number, name = s.number(child), s.one(list(_AGGREGATES))
    words, condition = s.condition(parent)
    text = f"what is the {s.one(_AGGREGATES[name])} {number.name} of {s.noun(child)} that {s.noun(parent)} {words} {s.domain.verb}"
    return text, f"SELECT {name}(T1.{number.name}) FROM {_join(s)} WHERE T2.{condition}"


def _richest(s: _Speaker) -> tuple[str, str]:
    parent, child = s.domain.parent, s.domain.child
    column = s.source.choice([parent.label, *parent.columns])
    where, tail = "", ""
    if s.source.random() < 0.7:
        words, sql = s.condition(child)
        tail, where = f" {words}", f" WHERE T1.{sql}"
    most, direction = s.source.choice([("most", "DESC"), ("fewest", "ASC")])
    text = f"what is the {column.name} of the {parent.singular} that {s.domain.verb} the {most} {s.noun(child)}{tail}"
    sql = f"SELECT T2.{column.name} FROM {_join(s)}{where} GROUP BY T1.{parent.key} ORDER BY COUNT(*) {direction} LIMIT 1"
    return text, sql


def _childless(s: _Speaker) -> tuple[str, str]:
    parent, child = s.domain.parent, s.domain.child
    column = s.source.choice([parent.label, *parent.columns])
    where, tail = "", ""
    if s.source.random() < 0.8:
        words, sql = s.condition(child)
        tail, where = f" {words}", f" WHERE {sql}"
    text = f"{s.show()} the {s.phrase(column)} of {s.noun(parent)} that {s.domain.verb} {s.one(('no', 'not any'))} {s.noun(child)}{tail}"
    sql = f"SELECT {column.name} FROM {parent.name} WHERE {parent.key} NOT IN (SELECT {parent.key} FROM {child.name}{where})"
    return text, sql


def _above_average(s: _Speaker) -> tuple[str, str]:
    table = s.table()
    number, column = s.number(table), s.source.choice([table.label, *table.columns])
    word, operator = s.source.choice([("above", ">"), ("below", "<")])
    inner, tail = "", ""
    if s.source.random() < 0.7:
        words, sql = s.equality(s.category(table))
        tail, inner = f" of {s.noun(table)} {words}", f" WHERE {sql}"
    text = f"{s.show()} the {s.phrase(column)} of {s.noun(table)} whose {number.name} is {word} the {s.one(('average', 'mean'))}{tail}"
    sql = f"SELECT {column.name} FROM {table.name} WHERE {number.name} {operator} (SELECT AVG({number.name}) FROM {table.name}{inner})"
    return text, sql


def _both_kinds(s: _Speaker) -> tuple[str, str]:
    table = s.table()
    column = s.category(table)
    first, one = s.comparison(s.number(table))
    second, other = s.comparison(s.number(table))
    words, operator = s.source.choice([("and also", "INTERSECT"), ("but no", "EXCEPT")])
    text = f"which {s.phrase(column)} have {s.noun(table)} with {first} {words} {s.noun(table)} with {second}"
    head = f"SELECT {column.name} FROM {table.name} WHERE"
    return text, f"{head} {one} {operator} {head} {other}"


# How often each family is asked, relative to the others.
FAMILIES: dict[str, tuple[Callable[[_Speaker], tuple[str, str]], int]] = {
    "columns": (_columns, 2),
    "filter": (_filtered, 4),
    "two conditions": (_two_conditions, 3),
    "either": (_either, 1),
    "between": (_between, 2),
    "count": (_count, 3),
    "aggregate": (_aggregate, 3),
    "group": (_grouped, 3),
    "having": (_having, 2),
    "order": (_ordered, 3),
    "extreme": (_extreme, 3),
    "distinct": (_distinct, 2),
    "join filter": (_joined_filter, 3),
    "join back": (_joined_back, 3),
    "join count": (_joined_count, 2),
    "join aggregate": (_joined_aggregate, 2),
    "richest": (_richest, 2),
    "childless": (_childless, 2),
    "above average": (_above_average, 2),
    "both kinds": (_both_kinds, 2),
}


def ask(domain: Domain, source: random.Random, families: Sequence[str]) -> Asked:
    """Make one question about a domain, of one of these families."""
    names = list(families)
    name = source.choices(names, [FAMILIES[n][1] for n in names])[0]
    question, sql = FAMILIES[name][0](_Speaker(domain, source))
    return Asked(question, sql, name)
