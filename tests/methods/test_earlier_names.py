"""A renamed argument is understood by both of its names."""

import inspect

import pytest

from kdzoo.methods.earlier_names import earlier_name


@earlier_name("colour", "hue")
def paint(surface, hue="white"):
    """Say what is painted."""
    return surface, hue


@pytest.mark.parametrize(
    "given", [(("wall", "red"), {}), (("wall",), {"hue": "red"}), (("wall",), {"colour": "red"})]
)
def test_both_names_mean_the_same(given):
    arguments, named = given
    assert paint(*arguments, **named) == ("wall", "red")


def test_a_default_stays_one():
    assert paint("wall") == ("wall", "white")


def test_who_gives_both_means_the_earlier():
    # dataclasses.replace(x, colour="red") adds the present value of every field that it was not given
    assert paint("wall", colour="red", hue="blue") == ("wall", "red")


def test_an_argument_given_twice_is_an_error_as_ever():
    with pytest.raises(TypeError, match="multiple values for argument 'hue'"):
        paint("wall", "red", colour="blue")


def test_the_function_is_described_as_before():
    assert (paint.__name__, paint.__doc__) == ("paint", "Say what is painted.")
    assert list(inspect.signature(paint).parameters) == ["surface", "hue"]
