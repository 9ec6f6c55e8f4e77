"""Kinds of questions that need both tables. Each gives a question and its gold SQL."""

from __future__ import annotations

from kdzoo.tasks.text_to_sql.embedded.speech import Speaker

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
