"""How many rows of a batch are computed at a time: a number, or as many as fit."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

AUTO = "auto"

_ALLOWED = 'must be a whole number of rows, at least 1, or "auto"'


def _a_number_of_rows(rows: Any) -> Any:
    if rows is None or rows == AUTO or (type(rows) is int and rows >= 1):
        return rows
    raise ValueError(_ALLOWED)


# A number of rows, or "auto".
RowsAtATime = Annotated[int | str, BeforeValidator(_a_number_of_rows)]
