"""Which of a recipe's options a method has left unread is said once, when it has had time to read them."""

from __future__ import annotations

import pytest

from kdzoo.methods import registry
from kdzoo.methods.used_options import watched
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


class TestWatching:
    def test_what_is_read_is_noted_and_the_values_are_the_same(self) -> None:
        options, read = watched(registry.find("imitkd").method.options(base=7))
        assert read == set()
        assert options.ground_truth_probability(0.5) == 0.5  # type: ignore[attr-defined]
        assert read == {"schedule", "constant"}
        assert isinstance(options, registry.find("imitkd").method.options)
        assert options.model_dump()["base"] == 7
        assert read == set(type(options).model_fields)

    def test_options_that_are_watched_twice_are_noted_apart(self) -> None:
        given = registry.find("gkd").method.options()
        (first, of_first), (_, of_second) = watched(given), watched(given)
        assert first.beta == 0.5  # type: ignore[attr-defined]
        assert (of_first, of_second) == ({"beta"}, set())
