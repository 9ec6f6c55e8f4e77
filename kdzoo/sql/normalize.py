"""What Spider's official evaluator does to the text of a query before it runs it."""

from __future__ import annotations

import re

import sqlparse

_CURRENT_YEAR = re.compile(r"YEAR\s*\(\s*CURDATE\s*\(\s*\)\s*\)\s*", re.IGNORECASE)


def normalize(query: str) -> str:
    """Join split comparison signs, keep the first statement, drop DISTINCT, and read YEAR(CURDATE()) as 2020.

    Raises:
        ValueError: there is no statement, or its text cannot be taken apart.
    """
    query = query.replace("> =", ">=").replace("< =", "<=").replace("! =", "!=")
    return _CURRENT_YEAR.sub("2020", _without_distinct(query))


def anonymised_values(prediction: str) -> str:
    """The official command's quirk: the word "value" in a prediction becomes 1."""
    return prediction.replace("value", "1")


def order_matters(gold: str) -> bool:
    """Whether rows are compared in order: if the gold query contains ORDER BY anywhere."""
    return "order by" in gold.lower()


def _without_distinct(query: str) -> str:
    if not query.strip():
        raise ValueError("no statement")
    if ";" not in query and "distinct" not in query.lower():
        return query  # taking it apart would give it back unchanged
    try:
        statements = sqlparse.parse(query)
        tokens = list(statements[0].flatten()) if statements else []
    except (sqlparse.exceptions.SQLParseError, RecursionError) as error:
        raise ValueError(f"cannot be taken apart: {error}") from None
    return "".join(token.value for token in tokens if token.value.lower() != "distinct")
