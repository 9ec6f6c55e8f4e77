"""What SECURITY.md says of our code holds for all of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdzoo.recipe import extends, sweep, toml_reader
from kdzoo.recipe.paths import _LONGEST

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
FILES = sorted(file for room in ("kdzoo", "plugins") for file in (ROOT / room).rglob("*.py"))

# Readers that make any object, or run code, of what they read.
UNSAFE = (
    "pickle.load",
    "pickle.loads",
    "shelve.open",
    "marshal.load",
    "marshal.loads",
    "joblib.load",
    "eval",
    "exec",
)
# Readers of transformers that take what comes with a model for code, unless they are told not to.
ASKING = ("AutoConfig", "AutoModelForCausalLM", "AutoTokenizer")


def calls() -> Iterator[tuple[str, str, dict[str, ast.expr]]]:
    """Every call in our code: its place, the function's dotted name, and the arguments by name."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                given = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
                yield f"{file.relative_to(ROOT)}:{node.lineno}", ast.unparse(node.func), given


def is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def test_no_file_is_read_as_a_pickle_or_as_code() -> None:
    found = [(place, name) for place, name, _ in calls() if name in UNSAFE]
    assert found == []


def test_torch_reads_nothing_but_tensors_and_plain_values() -> None:
    loads = [(place, given) for place, name, given in calls() if name == "torch.load"]
    assert loads
    assert [place for place, given in loads if not is_true(given.get("weights_only"))] == []


def test_numpy_reads_no_objects() -> None:
    assert [place for place, _, given in calls() if is_true(given.get("allow_pickle"))] == []


def test_code_of_models_is_run_only_where_a_variable_says_so() -> None:
    """Where it is not said, transformers asks on the terminal."""
    asking = [
        (place, given)
        for place, name, given in calls()
        if name.split(".")[0] in ASKING and name.endswith((".from_pretrained", ".from_config"))
    ]
    assert len(asking) >= 6
    assert [place for place, given in asking if "trust_remote_code" not in given] == []
    assert [place for place, _, given in calls() if is_true(given.get("trust_remote_code"))] == []


def test_weights_are_asked_for_as_safetensors() -> None:
    loads = [(p, given) for p, name, given in calls() if name == "AutoModelForCausalLM.from_pretrained"]
    assert loads
    assert [place for place, given in loads if "use_safetensors" not in given] == []


@pytest.mark.parametrize(
    "told",
    [
        f"TOML of {toml_reader.MOST_BYTES >> 20} MiB",
        f"{toml_reader.MOST_KEYS:,} keys",
        f"{toml_reader.MOST_LEVELS} levels",
        f"`extends` of {extends._MOST_FILES} files",
        f"sweeps of {sweep._MOST_MEMBERS:,} runs",
        f"paths of {_LONGEST:,} bytes",
    ],
)
def test_the_page_names_the_limits_that_there_are(told: str) -> None:
    assert told in PAGE
