"""TOML from anyone is read within limits, and what is beyond them is told with its line."""

from __future__ import annotations

import tomllib

import pytest

from kdzoo.recipe.toml_reader import MOST_LEVELS, NotTOMLError, parse_toml


def refused(text: str) -> NotTOMLError:
    with pytest.raises(NotTOMLError) as caught:
        parse_toml(text)
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        'a = 1\n[b]\nc = { d = ["e", 2.5] }\n',
        f"a = {'[' * (MOST_LEVELS - 1)}{']' * (MOST_LEVELS - 1)}",
        ".".join("a" * MOST_LEVELS) + " = 1",
        f"a = {2**63 - 1}\nb = {-(2**63)}\nc = 0x7fffffffffffffff",
        "# " + "a." * 40,
    ],
)
def test_what_is_within_them_is_what_tomllib_reads(text: str) -> None:
    assert parse_toml(text) == tomllib.loads(text)


@pytest.mark.parametrize("levels", [MOST_LEVELS + 1, 120])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a=", "}"), ("[{a=", "}]")])
def test_values_in_values_are_refused_with_their_key(opening: str, closing: str, levels: int) -> None:
    error = refused(f"b = {opening * levels}1{closing * levels}")
    assert (str(error), error.key[0]) == ("nested too deeply", "b")


def test_more_than_python_has_a_stack_for_is_refused() -> None:
    assert str(refused("a = " + "[" * 100_000)) == "nested too deeply"


@pytest.mark.parametrize("part", ["a", '"a b"', r'"\""', "'a'", "-"])
@pytest.mark.parametrize("written", ["{} = 1", "[{}]"])
def test_a_dotted_key_of_very_many_parts_is_refused_before_it_is_parsed(part: str, written: str) -> None:
    """tomllib would take hours for it, and more memory than any machine has."""
    error = refused("b = 1\n" + written.format(" . ".join([part] * 100_000)))
    assert (str(error), error.line) == ("nested too deeply", 2)


@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 5000, str(2**63), str(-(2**63) - 1)])
def test_a_whole_number_that_toml_has_no_room_for_is_refused(number: str) -> None:
    error = refused(f"b = 1\na = {number}")
    assert str(error) == "not valid TOML: a whole number has more than 64 bits"
    assert error.line == 2 or error.key == ("a",)


def test_what_is_no_toml_is_told_with_its_line() -> None:
    error = refused("a = 1\nb = ?\n")
    assert (str(error), error.line) == ("not valid TOML: Invalid value (column 5)", 2)
