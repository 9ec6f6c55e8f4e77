"""Steps or epochs from one time to the next, as a recipe writes them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from pydantic import TypeAdapter, ValidationError

from kdzoo.recipe.intervals import Interval, interval_in_epochs


@pytest.mark.parametrize(
    ("text", "number"),
    [("1 epoch", 1), ("2 epochs", 2), ("0.5 epochs", Fraction(1, 2)), (".25 epochs", Fraction(1, 4))],
)
def test_epochs_are_read_exactly(text: str, number: Fraction) -> None:
    assert interval_in_epochs(text) == number


@pytest.mark.parametrize("every", [0, 1, 200, "1 epoch", "0.5 epochs"])
def test_steps_and_epochs_stay_as_they_are_written(every: int | str) -> None:
    assert TypeAdapter(Interval).validate_python(every) == every


@pytest.mark.parametrize(
    "every",
    [-1, 1.0, True, None, "", "2", "0 epochs", "-1 epochs", "1e3 epochs", "1  epoch", "1 epoch\n"],
)
def test_what_is_no_interval(every: object) -> None:
    with pytest.raises(ValidationError, match="must be a whole number of steps, 0 for not at all"):
        TypeAdapter(Interval).validate_python(every)
