"""micro_batch_size: a number of rows, or "auto"."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from kdzoo.recipe import Training


@pytest.mark.parametrize(("given", "rows"), [(None, 16), ("auto", 16), (4, 4)])
def test_a_part_has_as_many_rows_as_are_given_or_all(given: Any, rows: int) -> None:
    training = Training(micro_batch_size=given)
    assert (training.micro_batch_size, training.part_size) == (given, rows)


@pytest.mark.parametrize("given", [0, -1, 2.0, True, "all"])
def test_nothing_else_is_a_number_of_rows(given: Any) -> None:
    with pytest.raises(ValidationError, match='a whole number of rows, at least 1, or "auto"'):
        Training(micro_batch_size=given)
