"""What stages, datasets and evaluation sets may be called."""

from __future__ import annotations

import pytest

from kdzoo.recipe.names import as_name, check_name


@pytest.mark.parametrize("name", ["dk", "Spider-DK", "_1", "a" * 80])
def test_a_right_name_is_given_back(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "a.b", "-a", "a b", "ü", "a\n", "a" * 81])
def test_others_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must consist of 1 to 80 letters"):
        check_name(name)


def test_a_text_becomes_a_name() -> None:
    assert as_name("my method.2/ü") == "my-method-2--"
