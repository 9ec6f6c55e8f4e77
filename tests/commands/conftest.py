"""The command line as its user meets it: exit code, standard output and standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from kdzoo.cli import main


@dataclass(frozen=True)
class Done:
    """What a command left."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def kdzoo() -> Callable[..., Done]:
    """Run ``kdzoo`` with these arguments, in this process."""

    def call(*arguments: object) -> Done:
        before, sys.argv = sys.argv, ["kdzoo", *map(str, arguments)]
        code = 0
        out, err = StringIO(), StringIO()
        try:
            with redirect_stdout(out), redirect_stderr(err):
                main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            sys.argv = before
        return Done(code, out.getvalue(), err.getvalue())

    return call


TINY = """\
name = "tiny"
[data]
kind = "embedded"
questions = 60
test_questions = 10
databases = 2
[tokenizer]
train = { vocab_size = 600 }
[teacher]
from_scratch = { architecture = "llama", hidden_size = 48, intermediate_size = 96, num_hidden_layers = 2, num_attention_heads = 4 }
[student]
from_scratch = { architecture = "llama", hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 4 }
[training]
max_steps = 3
batch_size = 8
learning_rate = 5e-3
input_limit = 512
output_limit = 64
[[stage]]
kind = "finetune"
[[stage]]
kind = "distill"
method = "kid"
options = { alpha = 0.5 }
[[stage]]
kind = "evaluate"
"""


@pytest.fixture(scope="session")
def tiny() -> str:
    """The text of a recipe that runs in a second or two."""
    return TINY


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write a recipe as r.toml into the working directory, with some of its text replaced."""
    monkeypatch.chdir(tmp_path)

    def write(text: str = TINY, *replaced: tuple[str, str]) -> Path:
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        Path("r.toml").write_text(text, encoding="utf-8")
        return Path("r.toml")

    return write
