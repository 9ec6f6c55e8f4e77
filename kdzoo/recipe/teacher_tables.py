"""Checks the tables of a recipe's further teachers: [teachers.NAME]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdzoo.methods.model_names import OF_THE_STUDENT, TEACHER
from kdzoo.recipe.checks import check_table, named_tables
from kdzoo.recipe.model_tables import ModelConfig
from kdzoo.recipe.overrides import HEAD, TABLES
from kdzoo.recipe.problems import Problems


def checked_teachers(
    tables: Any, elsewhere: Mapping[str, str], problems: Problems
) -> dict[str, ModelConfig] | None:
    """Give the tables of [teachers] by their names; None if too little of one is right.

    ``elsewhere`` says of keys that belong to another table how they are written there.
    """
    found = {
        name: check_table(ModelConfig, table, ("teachers", name), problems, elsewhere=elsewhere)
        for name, table in named_tables("teachers", tables, problems)
    }
    for name in found:
        if name in (TEACHER, *OF_THE_STUDENT):
            problems.add(
                ("teachers", name), f'"{name}" names another model of a training; choose another name'
            )
        elif name in (*TABLES, *HEAD):
            problems.add(("teachers", name), f'"{name}" names another part of a recipe; choose another name')
    right = {name: model for name, model in found.items() if model is not None}
    return right if len(right) == len(found) else None
