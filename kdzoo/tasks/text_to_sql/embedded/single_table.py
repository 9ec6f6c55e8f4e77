"""Kinds of questions that one table answers. Each gives a question and its gold SQL."""

from __future__ import annotations

from kdzoo.tasks.text_to_sql.embedded.speech import AGGREGATES, Speaker

Pair = tuple[str, str]


def columns(s: Speaker) -> Pair:
    """One to three columns of all rows."""
    table = s.table()
    chosen = s.source.sample([table.label, *table.columns], s.source.choice([1, 2, 2, 3]))
    words = " and ".join(s.phrase(column) for column in chosen)
    question = f"{s.show()} the {words} of {s.one(('all', 'the'))} {s.noun(table)}"
    return question, f"SELECT {', '.join(column.name for column in chosen)} FROM {table.name}"


def filtered(s: Speaker) -> Pair:
    """One column of the rows that meet a condition."""
    table = s.table()
    column = s.any_column(table)
    words, condition = s.condition(table)
    question = f"{s.show()} the {s.phrase(column)} of {s.noun(table)} {words}"
    return question, f"SELECT {column.name} FROM {table.name} WHERE {condition}"


def two_conditions(s: Speaker) -> Pair:
    """A condition on a text and one on a number."""
    table = s.table()
    words, equal = s.equality(table)
    more, compared = s.comparison(s.number(table))
    joint, operator = s.source.choice([("and with", "AND"), ("or with", "OR")])
    question = f"{s.show()} the {s.phrase(table.label)} of {s.noun(table)} {words} {joint} {more}"
    return question, f"SELECT {table.label.name} FROM {table.name} WHERE {equal} {operator} {compared}"


def either(s: Speaker) -> Pair:
    """One of two texts."""
    table = s.table()
    column = s.category(table)
    a, b = s.source.sample(column.values, 2)
    label = table.label
    question = f"{s.show()} the {s.phrase(label)} of {s.noun(table)} whose {column.name} is either {a} or {b}"
    condition = f"{column.name} = '{a}' OR {column.name} = '{b}'"
    return question, f"SELECT {label.name} FROM {table.name} WHERE {condition}"


def between(s: Speaker) -> Pair:
    """A number in a range."""
    table = s.table()
    column = s.number(table)
    a, b = sorted((s.threshold(column), s.threshold(column)))
    question = (
        f"which {s.noun(table)} have {s.phrase(column)} between {a} and {b} ? "
        f"{s.show()} their {s.phrase(table.label)}"
    )
    return question, f"SELECT {table.label.name} FROM {table.name} WHERE {column.name} BETWEEN {a} AND {b}"


def count(s: Speaker) -> Pair:
    """How many rows there are."""
    table = s.table()
    how = s.one(("how many", "count the", "what is the number of"))
    words, where = s.maybe_where(0.9, table)
    return f"{how} {s.noun(table)}{words}", f"SELECT COUNT(*) FROM {table.name}{where}"


def aggregate(s: Speaker) -> Pair:
    """An aggregate of a number."""
    table = s.table()
    column = s.number(table)
    words, name = s.aggregate()
    begin = s.one(("what is the", "give the", "find the"))
    more, where = s.maybe_where(0.75, table)
    question = f"{begin} {words} {column.name} of {s.noun(table)}{more}"
    return question, f"SELECT {name}({column.name}) FROM {table.name}{where}"


def grouped(s: Speaker) -> Pair:
    """A count or an aggregate for each text."""
    table = s.table()
    column = s.category(table)
    per = s.one(("for each", "per", "by", "for every"))
    if s.chance(0.4):
        what, value = f"number of {s.noun(table)}", "COUNT(*)"
    else:
        number = s.number(table)
        words, name = s.aggregate()
        what, value = f"{words} {number.name} of {s.noun(table)}", f"{name}({number.name})"
    more, where = s.maybe_where(0.5, table)
    question = f"{s.show()} the {what}{more} {per} {column.name}"
    return question, f"SELECT {column.name}, {value} FROM {table.name}{where} GROUP BY {column.name}"


def having(s: Speaker) -> Pair:
    """The texts whose group meets a condition."""
    table = s.table()
    column = s.category(table)
    if s.chance(0.5):
        usual = table.rows // len(column.values)
        value = s.source.randint(usual // 3, usual * 3 // 2)
        question = f"which {s.phrase(column)} have {s.one(('more than', 'over'))} {value} {s.noun(table)}"
        condition = f"COUNT(*) > {value}"
    else:
        number = s.number(table)
        # averages of groups lie close together
        middle, spread = (number.low + number.high) // 2, max(1, (number.high - number.low) // 12)
        value = s.source.randint(middle - spread, middle + spread)
        words = f"{s.one(AGGREGATES['AVG'])} {number.name} of {s.noun(table)} {s.one(('above', 'over'))}"
        question = f"for which {s.phrase(column)} is the {words} {value}"
        condition = f"AVG({number.name}) > {value}"
    return question, f"SELECT {column.name} FROM {table.name} GROUP BY {column.name} HAVING {condition}"


def ordered(s: Speaker) -> Pair:
    """One column in the order of a number."""
    table = s.table()
    column, number = s.text_column(table), s.number(table)
    words, direction = s.source.choice(
        [(("descending", "falling", "decreasing"), "DESC"), (("ascending", "rising", "increasing"), "ASC")]
    )
    more, where = s.maybe_where(0.6, table)
    order = f"in {s.one(words)} order of {number.name}"
    question = f"{s.show()} the {s.phrase(column)} of {s.noun(table)}{more} {order}"
    return question, f"SELECT {column.name} FROM {table.name}{where} ORDER BY {number.name} {direction}"


def extreme(s: Speaker) -> Pair:
    """The first rows in the order of a number."""
    table = s.table()
    number, column = s.number(table), s.text_column(table)
    word, direction = s.source.choice([(number.most, "DESC"), (number.least, "ASC")])
    more, where = s.maybe_where(0.6, table)
    if s.chance(0.5):
        limit = s.source.randint(2, 9)
        question = f"{s.show()} the {s.phrase(column)} of the {limit} {word} {s.noun(table)}{more}"
    else:
        limit = 1
        question = f"what is the {column.name} of the {word} {table.singular}{more}"
    order = f"ORDER BY {number.name} {direction} LIMIT {limit}"
    return question, f"SELECT {column.name} FROM {table.name}{where} {order}"


def distinct(s: Speaker) -> Pair:
    """The different texts of some rows, or their number."""
    table = s.table()
    column = s.category(table)
    words, compared = s.comparison(s.number(table))
    if s.chance(0.5):
        question = f"how many different {s.phrase(column)} do {s.noun(table)} with {words} have"
        return question, f"SELECT COUNT(DISTINCT {column.name}) FROM {table.name} WHERE {compared}"
    different = s.one(("different", "distinct"))
    question = f"{s.show()} the {different} {s.phrase(column)} of {s.noun(table)} with {words}"
    return question, f"SELECT DISTINCT {column.name} FROM {table.name} WHERE {compared}"


def above_average(s: Speaker) -> Pair:
    """The rows on one side of an average."""
    table = s.table()
    number, column = s.number(table), s.any_column(table)
    word, operator = s.source.choice([("above", ">"), ("below", "<")])
    more, inner = "", ""
    if s.chance(0.7):
        words, sql = s.equality(table)
        more, inner = f" of {s.noun(table)} {words}", f" WHERE {sql}"
    mean = s.one(AGGREGATES["AVG"])
    question = (
        f"{s.show()} the {s.phrase(column)} of {s.noun(table)} whose {number.name} is {word} the {mean}{more}"
    )
    average = f"SELECT AVG({number.name}) FROM {table.name}{inner}"
    return question, f"SELECT {column.name} FROM {table.name} WHERE {number.name} {operator} ({average})"


def both_kinds(s: Speaker) -> Pair:
    """The texts that two sets of rows share, or that one set alone has."""
    table = s.table()
    column = s.text_column(table)
    first, one = s.comparison(s.number(table))
    second, other = s.condition(table)
    words, operator = s.source.choice([("and also", "INTERSECT"), ("but no", "EXCEPT")])
    noun = s.noun(table)
    question = f"which {s.phrase(column)} have {noun} with {first} {words} {noun} {second}"
    select = f"SELECT {column.name} FROM {table.name} WHERE"
    return question, f"{select} {one} {operator} {select} {other}"
