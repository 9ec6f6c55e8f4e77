"""The keys of a recipe that stand before its tables."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from kdzoo.recipe.tables import Table


def _recipe_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]{1,80}", name):
        raise ValueError("must consist of 1 to 80 characters a-z, 0-9, _ and -")
    return name


RecipeName = Annotated[str, AfterValidator(_recipe_name)]


class RecipeHead(Table):
    """The keys of a recipe that stand before its tables."""

    name: RecipeName = Field(
        description="what the folders of its runs begin with",
        json_schema_extra={"unless_given": "the file's name"},
    )
    seed: int = Field(
        0, ge=0, lt=2**31, description="what all random choices come from, but those in the data"
    )
    student_seed: int | None = Field(
        None,
        ge=0,
        lt=2**31,
        description="the seed of every stage that trains the student, and of the random weights of a student from scratch "
        "(default: seed): several students of one teacher, which keeps seed",
    )
    threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="of the processor, for each stage; unless given, one for a model of less than 100 thousand parameters, "
        "and all cores for others. The last bits of sums may change with it, and no finished stage is done again for it",
    )
