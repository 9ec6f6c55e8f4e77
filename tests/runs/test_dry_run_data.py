"""What a dry run says of data: a line for each dataset that is trained on, and for each set that is scored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kdzoo.recipe import Recipe, is_there, load_recipe
from kdzoo.runs.dry_run_data import data_lines, scoring_lines
from kdzoo.tasks.dataset import DataConfig
from kdzoo.tasks.example import Splits
from kdzoo.tasks.load import load as load_data

RECIPE = """\
[data]
kind = "jsonl"
train = "two"
evaluation = "three"
[datasets.other]
kind = "jsonl"
train = "three"
[datasets.unread]
kind = "spider"
path = "nowhere"
[evaluation_sets.dev]
[evaluation_sets.more]
data = "other"
evaluation = "two"
metrics = ["rouge_l"]
max_examples = 1
[evaluation_sets.lost]
evaluation = "absent"
[evaluation_sets.unscored]
[tokenizer]
train = { vocab_size = 300 }
[student]
from_scratch = { architecture = "llama" }
[[stage]]
kind = "distill"
method = "sft"
[[stage]]
kind = "distill"
method = "sft"
name = "second"
data = "other"
[[stage]]
kind = "evaluate"
sets = ["dev", "more", "lost"]
"""

Load = Callable[..., Recipe]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.chdir(tmp_path)
    for count, name in ((2, "two"), (3, "three")):
        Path(name).write_text('{"prompt": "p", "target": "t"}\n' * count)
    Path("r.toml").write_text(RECIPE)
    return lambda *overrides: load_recipe(Path("r.toml"), overrides)


def read(data: DataConfig) -> Splits | None:
    return load_data(data, cache=Path("cache")) if is_there(data) else None


def test_each_dataset_and_set_has_its_number_of_questions(load: Load) -> None:
    assert list(data_lines(load(), read)) == [
        "data     jsonl: 2 training questions",
        "data     other, jsonl: 3 training questions",
        "set      dev (jsonl): 3 evaluation questions",
        "set      more (other, jsonl): 2 evaluation questions",
        f"set      lost (jsonl): {Path('absent').absolute()} is not there; --rehearse runs without it",
    ]


def test_a_set_that_a_training_alone_is_scored_on_is_named_too(load: Load) -> None:
    recipe = load("second.evaluate_every=5", "second.evaluate_set=unscored", "evaluate.sets=['dev']")
    assert list(data_lines(recipe, read))[2:] == [
        "set      unscored (jsonl): 3 evaluation questions",
        "set      dev (jsonl): 3 evaluation questions",
    ]


def test_an_evaluation_says_what_it_asks_and_measures(load: Load) -> None:
    recipe = load()
    stage = recipe.stages[2]
    assert stage.role is None
    assert scoring_lines(recipe, stage, read) == [
        "models sft, second; greedy decoding",
        "set dev: 3 questions; metrics exact_match, rouge_l",
        "set more: 1 questions; metrics rouge_l",
        "set lost: all questions; metrics exact_match, rouge_l",
    ]
    few = load("evaluation_sets.lost.max_examples=5")
    assert scoring_lines(few, stage, read)[-1].startswith("set lost: at most 5 questions;")
