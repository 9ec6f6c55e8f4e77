"""The end of a message on a name that is not known."""

from __future__ import annotations

import pytest

from kdzoo.spelling import hint, nearest

NAMES = ["alpha", "Beta", "gamma"]


@pytest.mark.parametrize(
    ("name", "meant"), [("alhpa", "alpha"), ("ALPHA", "alpha"), ("beta", "Beta"), ("xyz", None), ("", None)]
)
def test_the_nearest_name_whatever_its_case(name: str, meant: str | None) -> None:
    assert nearest(name, NAMES) == meant


def test_a_hint_asks_for_the_nearest_name_or_lists_all() -> None:
    assert hint("gama", NAMES) == '; did you mean "gamma"?'
    assert hint("xyz", NAMES) == "; there are: alpha, Beta, gamma"
    assert hint("xyz", [*NAMES, "alpha"]) == "; there are: alpha, Beta, gamma"
    assert hint("xyz", []) == ""
