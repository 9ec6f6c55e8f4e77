"""Which of a recipe's options a method has left unread is said once, when it has had time to read them."""

from __future__ import annotations

import pytest

from kdzoo.methods import registry
from kdzoo.runs.training.unused_options import UnusedOptions


def unused(method: str, reads: set[str] | None = None, **options: object) -> UnusedOptions:
    return UnusedOptions(registry.find(method).method.options(**options), reads or set())


def test_it_is_said_after_ten_steps_and_then_no_more() -> None:
    note = unused("gkd", beta=0.3)
    assert note.after(9, last=False) is None
    assert note.after(10, last=False) == (
        "beta = 0.3 changed nothing in 10 steps: the method does not use it with these options"
    )
    assert note.after(20, last=True) is None


def test_or_after_the_last_step() -> None:
    assert str(unused("gkd", beta=0.3).after(2, last=True)).startswith(
        "beta = 0.3 changed nothing in 2 steps"
    )


def test_names_are_the_recipe_s() -> None:
    text = unused("gkd", {"beta"}, beta=0.3, lambda_=0.5, seq_kd=True).after(10, last=False)
    assert str(text).startswith("lambda = 0.5, seq_kd = true changed nothing")


@pytest.mark.parametrize("options", [{}, {"beta": 0.5}, {"beta": 0.3}])
def test_defaults_and_what_is_read_are_not_spoken_of(options: dict[str, float]) -> None:
    assert (
        unused("gkd", {"beta"} if options == {"beta": 0.3} else set(), **options).after(10, last=True) is None
    )
