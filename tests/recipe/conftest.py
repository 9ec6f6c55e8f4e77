"""A small recipe that is right, and the messages of recipes that are wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kdzoo.errors import UserError
from kdzoo.recipe import Recipe, load_recipe

RIGHT = """\
[data]
kind = "embedded"

[tokenizer]
train = { vocab_size = 500 }

[teacher]
from_scratch = { architecture = "llama", hidden_size = 64 }

[student]
from_scratch = { architecture = "llama", hidden_size = 32 }

[training]
epochs = 2

[[stage]]
kind = "finetune"

[[stage]]
kind = "distill"
method = "kid"

[[stage]]
kind = "evaluate"
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Write a recipe as r.toml into the working directory, and give its relative path."""
    monkeypatch.chdir(tmp_path)

    def write(text: str = RIGHT) -> Path:
        Path("r.toml").write_text(text, encoding="utf-8")
        return Path("r.toml")

    return write


@pytest.fixture
def load(write: Callable[[str], Path]) -> Callable[..., Recipe]:
    """Load a recipe from its text."""

    def load(text: str = RIGHT, *overrides: str) -> Recipe:
        return load_recipe(write(text), overrides)

    return load


@pytest.fixture
def problems(load: Callable[..., Recipe]) -> Callable[..., Sequence[str]]:
    """The lines of the message that a wrong recipe gives."""

    def problems(text: str = RIGHT, *overrides: str) -> Sequence[str]:
        with pytest.raises(UserError) as caught:
            load(text, *overrides)
        assert caught.value.exit_code == 2
        return str(caught.value).split("\n")

    return problems


@pytest.fixture
def right() -> str:
    """The text of a recipe that is right."""
    return RIGHT
