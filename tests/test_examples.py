"""The packages in ``examples`` are installed like anyone's, keep the rules, run from a recipe, and pass their own tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from outside_package import forget, install_project
from rich.console import Console

from kdzoo.methods import registry
from kdzoo.recipe import load_recipe
from kdzoo.report.progress import Reporter
from kdzoo.runs import pipeline
from kdzoo.testing import check_method

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").iterdir())

RECIPE = """\
[data]
kind = "embedded"
questions = 60
test_questions = 10
databases = 2
[tokenizer]
train = {{ vocab_size = 600 }}
[teacher]
from_scratch = {{ architecture = "llama", hidden_size = 32, intermediate_size = 64, num_hidden_layers = 1, num_attention_heads = 2 }}
[student]
from_scratch = {{ architecture = "llama", hidden_size = 32, intermediate_size = 64, num_hidden_layers = 1, num_attention_heads = 2 }}
[training]
max_steps = 2
batch_size = 8
input_limit = 512
[[stage]]
kind = "finetune"
[[stage]]
kind = "distill"
method = "{method}"
"""


@pytest.fixture(params=EXAMPLES, ids=lambda folder: folder.name)
def example(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.param
    return folder


@pytest.fixture
def method(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of the example's method, which is installed for as long as the test runs."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    project = install_project(site, example)
    (name,) = project["entry-points"]["kdzoo"]
    yield name
    forget(site)


def test_it_keeps_the_rules(method: str) -> None:
    check_method(method)
    assert registry.find(method).package == f"kdzoo-{method}"


def test_it_runs_from_a_recipe(method: str, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(RECIPE.format(method=method))
    run = pipeline.run(
        load_recipe(tmp_path / "r.toml"), tmp_path / "runs", Reporter(Console(file=StringIO()))
    )
    assert (run.stage(method) / "model").is_dir()


def test_its_own_tests_pass(example: Path, method: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, f"--rootdir={example}", str(example / "tests")],
        cwd=tmp_path,
        env={**environment, "PYTEST_ADDOPTS": ""},
        check=False,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"=* ?\d+ passed in .*", done.stdout.splitlines()[-1])


def test_it_needs_kdzoo_and_names_its_module(example: Path) -> None:
    content = tomllib.loads((example / "pyproject.toml").read_text(encoding="utf-8"))
    assert content["project"]["dependencies"] == ["kdzoo"]
    (module,) = content["project"]["entry-points"]["kdzoo"].values()
    assert content["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"] == [f"{module}.py"]
    assert (example / f"{module}.py").is_file()
