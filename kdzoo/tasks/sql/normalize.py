"""What Spider's official evaluator does to the text of a query before it runs it."""

from __future__ import annotations

import re
from typing import Any

from sqlparse.engine import FilterStack

_CURRENT_YEAR = re.compile(r"YEAR\s*\(\s*CURDATE\s*\(\s*\)\s*\)\s*", re.IGNORECASE)


def normalize(query: str) -> str:
    """Join split comparison signs, keep the first statement, drop DISTINCT, and read YEAR(CURDATE()) as 2020.

    DISTINCT goes wherever it is a word of its own, inside count() too, but not within quotes.

    Raises:
        ValueError: there is no statement.
    """
    return _CURRENT_YEAR.sub("2020", _without_distinct(with_joined_signs(query)))


def with_joined_signs(query: str) -> str:
    """A query whose comparison signs are not split, as Spider's own are."""
    return query.replace("> =", ">=").replace("< =", "<=").replace("! =", "!=")


def as_the_official_command(prediction: str) -> str:
    """What the official command, not its library, does to a prediction: cut at a tab, and "value" becomes 1.

    Blanks around it are dropped first, so that a tab before the statement cuts nothing. The last is meant for
    anonymised values; it spoils column names that contain "value".
    """
    return prediction.strip().split("\t")[0].replace("value", "1")


def order_matters(gold: str) -> bool:
    """Whether rows are compared in order: if the gold query contains ORDER BY anywhere."""
    return "order by" in gold.lower()


def _without_distinct(query: str) -> str:
    if not query.strip():
        raise ValueError("no statement")
    if ";" not in query and "distinct" not in query.lower():
        return query  # taking it apart would give it back unchanged
    # without grouping: the words are the same, and deep nesting costs nothing
    new_stack: Any = FilterStack  # it has no types
    statement = next(iter(new_stack().run(query)), None)
    if statement is None:
        raise ValueError("no statement")
    return "".join(token.value for token in statement.flatten() if token.value.lower() != "distinct")
