"""Kinds of questions that need both tables. Each gives a question and its gold SQL."""

from __future__ import annotations

from kdzoo.data.embedded.speech import Speaker

Pair = tuple[str, str]


def filtered_children(s: Speaker) -> Pair:
    """Children of the parents that meet a condition."""
    parent, child = s.domain.parent, s.domain.child
    column = s.any_column(child)
    words, condition = s.condition(parent)
    made = f"that {s.noun(parent)} {words} {s.domain.verb}"
    question = f"{s.show()} the {s.phrase(column)} of {s.noun(child)} {made}"
    return question, f"SELECT T1.{column.name} FROM {s.join()} WHERE T2.{condition}"


def filtered_parents(s: Speaker) -> Pair:
    """Parents of the children that meet a condition."""
    parent, child = s.domain.parent, s.domain.child
    column = s.any_column(parent)
    words, condition = s.condition(child)
    question = (
        f"{s.show()} the {s.phrase(column)} of {s.noun(parent)} that {s.domain.verb} {s.noun(child)} {words}"
    )
    return question, f"SELECT T2.{column.name} FROM {s.join()} WHERE T1.{condition}"


def both_conditions(s: Speaker) -> Pair:
    """A condition on the child and one on the parent."""
    parent, child = s.domain.parent, s.domain.child
    column = s.any_column(child)
    words, compared = s.comparison(s.number(child))
    more, equal = s.equality(parent)
    made = f"that {s.noun(parent)} {more} {s.domain.verb}"
    question = f"{s.show()} the {s.phrase(column)} of {s.noun(child)} with {words} {made}"
    return question, f"SELECT T1.{column.name} FROM {s.join()} WHERE T1.{compared} AND T2.{equal}"


def count_for_each(s: Speaker) -> Pair:
    """How many children each parent has."""
    parent, child = s.domain.parent, s.domain.child
    words, where = s.maybe_where(0.7, child, "T1.")
    how = s.one(("how many", "what is the number of"))
    question = (
        f"{how} {s.noun(child)}{words} for each {parent.singular} ? {s.show()} the {s.phrase(parent.label)}"
    )
    select = f"SELECT T2.{parent.label.name}, COUNT(*) FROM {s.join()}"
    return question, f"{select}{where} GROUP BY T1.{parent.key}"


def aggregate_of_children(s: Speaker) -> Pair:
    """An aggregate over the children of some parents."""
    parent, child = s.domain.parent, s.domain.child
    number = s.number(child)
    word, name = s.aggregate()
    words, condition = s.condition(parent)
    made = f"that {s.noun(parent)} {words} {s.domain.verb}"
    question = f"what is the {word} {number.name} of {s.noun(child)} {made}"
    return question, f"SELECT {name}(T1.{number.name}) FROM {s.join()} WHERE T2.{condition}"


def grouped_by_parent(s: Speaker) -> Pair:
    """An aggregate over children for each text of their parents."""
    parent, child = s.domain.parent, s.domain.child
    number, column = s.number(child), s.category(parent)
    word, name = s.aggregate()
    per = s.one(("for each", "per", "for every"))
    question = (
        f"{s.show()} the {word} {number.name} of {s.noun(child)} {per} {column.name} of {s.noun(parent)}"
    )
    select = f"SELECT T2.{column.name}, {name}(T1.{number.name}) FROM {s.join()}"
    return question, f"{select} GROUP BY T2.{column.name}"


def extreme_child(s: Speaker) -> Pair:
    """The first child, in the order of a number, of some parents."""
    parent, child = s.domain.parent, s.domain.child
    number, column = s.number(child), s.text_column(child)
    word, direction = s.source.choice([(number.most, "DESC"), (number.least, "ASC")])
    words, condition = s.condition(parent)
    made = f"that {s.noun(parent)} {words} {s.domain.verb}"
    question = f"what is the {column.name} of the {word} {child.singular} {made}"
    order = f"ORDER BY T1.{number.name} {direction} LIMIT 1"
    return question, f"SELECT T1.{column.name} FROM {s.join()} WHERE T2.{condition} {order}"


def with_many_children(s: Speaker) -> Pair:
    """Parents with more children than a number."""
    parent, child = s.domain.parent, s.domain.child
    words, where = s.maybe_where(0.6, child, "T1.")
    value = s.source.randint(1, 9)
    more = s.one(("more than", "over"))
    question = (
        f"{s.show()} the {s.phrase(parent.label)} of {s.noun(parent)} that {s.domain.verb} {more} {value} "
        f"{s.noun(child)}{words}"
    )
    group = f"GROUP BY T1.{parent.key} HAVING COUNT(*) > {value}"
    return question, f"SELECT T2.{parent.label.name} FROM {s.join()}{where} {group}"


def richest(s: Speaker) -> Pair:
    """The parent with the most or fewest children."""
    parent, child = s.domain.parent, s.domain.child
    column = s.any_column(parent)
    words, where = s.maybe_where(0.7, child, "T1.")
    most, direction = s.source.choice([("most", "DESC"), ("fewest", "ASC")])
    question = (
        f"what is the {column.name} of the {parent.singular} that {s.domain.verb} the {most} "
        f"{s.noun(child)}{words}"
    )
    order = f"GROUP BY T1.{parent.key} ORDER BY COUNT(*) {direction} LIMIT 1"
    return question, f"SELECT T2.{column.name} FROM {s.join()}{where} {order}"


def childless(s: Speaker) -> Pair:
    """Parents without children, or without some kind of children."""
    parent, child = s.domain.parent, s.domain.child
    column = s.any_column(parent)
    words, where = s.maybe_where(0.8, child)
    none = s.one(("no", "not any"))
    question = f"{s.show()} the {s.phrase(column)} of {s.noun(parent)} that {s.domain.verb} {none} {s.noun(child)}{words}"
    inner = f"SELECT {parent.key} FROM {child.name}{where}"
    return question, f"SELECT {column.name} FROM {parent.name} WHERE {parent.key} NOT IN ({inner})"
