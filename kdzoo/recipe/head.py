"""The keys that stand before a recipe's tables, and those that are its file's alone."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from kdzoo.recipe.tables import Location, OwnSeed, Seed, Table


def _recipe_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]{1,80}", name):
        raise ValueError("must consist of 1 to 80 characters a-z, 0-9, _ and -")
    return name


RecipeName = Annotated[str, AfterValidator(_recipe_name)]


class FileKeys(Table):
    """Keys of a recipe's file that are worked in when it is read: the recipe that a run keeps has neither."""

    extends: Location | None = Field(
        None,
        description="another recipe, whose keys count unless this one gives them: table by table and key by key, while "
        "arrays, the stages too, are replaced as a whole. It may extend a further one. Relative to the folder of this file",
    )
    sweep: dict[str, Any] = Field(
        default_factory=dict,
        description="keys as --set writes them, each with a list of values: the recipe then stands for a run of each "
        "combination, the last key varying fastest. --set of a key fixes it",
    )


class RecipeHead(Table):
    """The keys of a recipe that stand before its tables."""

    name: RecipeName = Field(
        description="what the folders of its runs begin with",
        json_schema_extra={"unless_given": "the file's name"},
    )
    seed: Seed = Field(0, description="what all random choices come from, but those in the data")
    student_seed: OwnSeed = Field(
        None,
        description="the seed of every stage that trains the student and has none of its own, and of the random weights of a student from scratch "
        "(default: seed): several students of one teacher, which keeps seed",
    )
    threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="of the processor, for each stage; unless given, one for a model of less than 100 thousand parameters, "
        "and all cores for others. The last bits of sums may change with it, and no finished stage is done again for it",
    )
