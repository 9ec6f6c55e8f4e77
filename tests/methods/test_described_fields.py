"""Fields may be of any type that pydantic knows."""

import enum
from typing import Literal

from pydantic import BaseModel, Field

from kdzoo.methods.described_fields import fields_of


def rows_of(model):
    return {row["name"]: row for row in fields_of(model)}


def test_enums_lists_tables_and_alternatives():
    class Colour(enum.Enum):
        RED = "red"
        BLUE = "blue"

    class Strange(BaseModel):
        colour: Colour = Colour.RED
        layers: list[int] = Field(default_factory=lambda: [1, 2])
        table: dict[str, float] = Field(default_factory=dict)
        number_or_name: int | str = 3
        limited: int | None = Field(None, ge=1)
        only: Literal["one"] = "one"

    rows = rows_of(Strange)
    assert (rows["colour"]["choices"], rows["colour"]["default"]) == (["red", "blue"], "red")
    assert (rows["layers"]["type"], rows["layers"]["default"]) == ("array", [1, 2])
    assert rows["table"]["type"] == "table"
    assert rows["number_or_name"]["type"] == "integer or string"
    assert (rows["limited"]["type"], rows["limited"]["range"]) == ("integer or absent", ">= 1")
    assert rows["only"]["choices"] == ["one"]


def test_a_field_without_a_default_is_required_unless_its_reader_fills_it_in():
    class Needs(BaseModel):
        size: int = Field(gt=0, lt=2**31)
        name: str = Field(json_schema_extra={"unless_given": "the file's"})

    rows = rows_of(Needs)
    assert (rows["size"]["required"], rows["size"]["range"]) == (True, "> 0 and < 2147483648")
    assert "required" not in rows["name"]
    assert rows["name"]["unless_given"] == "the file's"


def test_names_and_defaults_are_those_that_are_written():
    class Inner(BaseModel):
        lambda_: float = Field(1.0, alias="lambda")

    class Outer(BaseModel):
        inner: Inner = Inner()
        size: tuple[int, ...] = (1, 2)
        for_: int = Field(3, alias="for", description="what it is for")

    rows = rows_of(Outer)
    assert rows["inner"]["default"] == {"lambda": 1.0}
    assert rows["size"]["default"] == [1, 2]
    assert (rows["for"]["default"], rows["for"]["description"]) == (3, "what it is for")
