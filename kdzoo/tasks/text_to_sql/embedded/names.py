"""The names that a recipe may use for the embedded benchmark's databases and kinds of questions."""

from __future__ import annotations

DATABASES = ("music", "travel", "school", "library", "shop", "sport")

FAMILIES = (
    "columns",
    "filter",
    "two conditions",
    "either",
    "between",
    "count",
    "aggregate",
    "group",
    "having",
    "order",
    "extreme",
    "distinct",
    "join filter",
    "join back",
    "join count",
    "join aggregate",
    "richest",
    "childless",
    "above average",
    "both kinds",
)
