"""What a reader raises is told as a mistake in what it read, but for a lack of memory."""

import json

import pytest
import torch
from safetensors.torch import load_file

from kdzoo.engine.models.load_errors import told_as
from kdzoo.errors import RunError, UserError


def told(error):
    with pytest.raises(UserError) as caught, told_as("the model of 'x'"):
        raise error
    assert caught.value.exit_code == 2
    assert caught.value.__cause__ is error
    return str(caught.value)


@pytest.mark.parametrize(
    ("message", "told_of"),
    [
        ("no such file", "no such file"),
        ("first\nsecond", "first"),
        ("  wide \t white   space ", "wide white space"),
        ("these are missing:\n  a, b\n  c", "these are missing: a, b"),
        ("these are missing:", "these are missing:"),
    ],
)
def test_the_first_line_is_told_and_the_next_where_it_is_announced(message, told_of):
    assert told(ValueError(message)) == f"the model of 'x': {told_of}"


@pytest.mark.parametrize("error", [AssertionError(), RuntimeError("  \n ")])
def test_an_error_without_a_message_is_named(error):
    assert told(error) == f"the model of 'x': {type(error).__name__}"


@pytest.mark.parametrize("reader", [load_file, lambda file: json.loads(file.read_text()), torch.load])
def test_every_reader_s_own_errors_are_among_them(reader, tmp_path):
    file = tmp_path / "broken"
    file.write_text("{broken")
    with pytest.raises(UserError, match=r"^a file: ."), told_as("a file"):
        reader(file)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"),
        UserError("told already"),
        RunError("told already"),
        KeyboardInterrupt(),
    ],
)
def test_what_is_no_fault_of_the_file_is_raised_as_it_is(error):
    with pytest.raises(type(error)) as caught, told_as("a file"):
        raise error
    assert caught.value is error


def test_where_nothing_is_raised_nothing_happens():
    with told_as("a file"):
        done = True
    assert done


@pytest.mark.parametrize(
    ("advice", "told_of"),
    [
        (
            "The repository x contains custom code.\n Please pass the argument `trust_remote_code=True` to allow it.",
            "unless the recipe's table says trust_remote_code = true",
        ),
        ("x has no model.safetensors. Please do not set `use_safetensors=True`.", "it has no safetensors"),
    ],
)
def test_advice_in_terms_of_a_library_s_arguments_is_told_in_the_recipe_s(advice, told_of):
    assert told_of in told(ValueError(advice))
