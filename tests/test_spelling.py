"""The end of a message on a name that is not known."""

from __future__ import annotations

import pytest

from kdzoo.spelling import did_you_mean, hint, nearest

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


def test_more_names_than_anyone_reads_are_not_listed() -> None:
    many = [f"layer_{number}" for number in range(400)]
    assert hint("xyz", many) == ""
    assert hint("layer_399", many) == '; did you mean "layer_399"?'


@pytest.mark.parametrize(
    ("name", "end"), [("gama", '; did you mean "gamma"?'), ("xyz", ""), (3, ""), ([], "")]
)
def test_a_message_that_lists_the_names_itself_asks_alone(name: object, end: str) -> None:
    assert did_you_mean(name, NAMES) == end
