"""How often something is done in a training: every so many steps, or epochs."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator

_ALLOWED = 'must be a whole number of steps, 0 for not at all, or text like "0.5 epochs"'


def interval_in_epochs(every: str) -> Fraction:
    """The number in "0.5 epochs".

    Raises:
        ValueError: the text is of another form, or the number 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+) epochs?", every)
    if found is None or not (number := Fraction(found[1])):
        raise ValueError(_ALLOWED)
    return number


def _an_interval(every: Any) -> Any:
    if type(every) is int and every >= 0:
        return every
    if not isinstance(every, str):
        raise ValueError(_ALLOWED)
    interval_in_epochs(every)
    return every


# A number of steps, 0 for not at all, or text such as "0.5 epochs".
Interval = Annotated[int | str, BeforeValidator(_an_interval)]
