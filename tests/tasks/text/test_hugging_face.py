"""Data of kind "hf": the form of the rows is found by the columns' names, or named; every form gives examples."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from kdzoo.errors import UserError
from kdzoo.recipe import load_recipe
from kdzoo.recipe.paths import check_paths
from kdzoo.tasks import registry
from kdzoo.tasks.fingerprint import fingerprint_of_data
from kdzoo.tasks.text.hugging_face import HUGGING_FACE, HuggingFaceData, load_hugging_face
from kdzoo.testing import check_dataset

MESSAGES = [
    {
        "messages": [
            {"role": "user", "content": f"first {number}"},
            {"role": "assistant", "content": "1"},
            {"role": "user", "content": "second"},
            {"role": "assistant", "content": "2"},
        ]
    }
    for number in range(4)
]


@pytest.fixture
def data(tmp_path):
    def give(rows, **keys):
        file = tmp_path / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return HuggingFaceData(kind="hf", path=str(file), **keys)

    return give


def load(config, tmp_path):
    return load_hugging_face(config, tmp_path / "cache")


def told(examples):
    return [(e.id, e.prompt, e.target, e.group, [text for _, text in e.earlier]) for e in examples]


def test_conversations(data, tmp_path):
    splits = load(data(MESSAGES, train="train[:1]", evaluation="train[3:]"), tmp_path)
    before = ["first 0", "1"]
    assert told(splits.train) == [("train[:1]-0", "second", "2", None, before)]
    assert told(splits.evaluation) == [("train[3:]-0", "second", "2", None, ["first 3", "1"])]
    assert splits.sql_rule is None


def test_all_turns_are_learnt_where_that_is_asked_and_the_last_is_evaluated(data, tmp_path):
    splits = load(data(MESSAGES[:1], evaluation="train", turns="all"), tmp_path)
    assert told(splits.train) == [
        ("train-0-0", "first 0", "1", "train-0", []),
        ("train-0-1", "second", "2", "train-0", ["first 0", "1"]),
    ]
    assert told(splits.evaluation) == [("train-0", "second", "2", None, ["first 0", "1"])]


@pytest.mark.parametrize(
    ("row", "keys"),
    [
        ({"prompt": "a", "completion": "b", "x": 1}, {}),
        ({"target": "b", "prompt": "a"}, {}),
        ({"text": "a"[:0] + "ab"}, {"separator": "a"}),
        ({"q": "a", "sql": "b", "messages": []}, {"columns": {"prompt": "q", "target": "sql"}}),
        (
            {"conversation": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
            {"columns": {"messages": "conversation"}},
        ),
    ],
)
def test_the_other_forms(data, tmp_path, row, keys):
    if "text" in row:
        row = {"text": "?ab"}
    (example,) = load(data([row], **keys), tmp_path).train
    assert example.prompt in ("a", "?a")
    assert example.target == "b"


def test_a_group_is_a_column(data, tmp_path):
    rows = [{"prompt": "a", "target": "b", "db": 7}]
    (example,) = load(data(rows, columns={"group": "db"}), tmp_path).train
    assert example.group == "7"


@pytest.mark.parametrize(
    ("rows", "keys", "message"),
    [
        ([{"question": "a", "sql": "b"}], {}, "has the columns question, sql, and none of the forms: messages; .*"),
        (
            [{"question": "a", "sql": "b"}],
            {"columns": {"prompt": "questoin", "target": "sql"}},
            "data.columns.prompt: the split train has no column 'questoin'; did you mean \"question\"\\?; it has question, sql",
        ),
        ([{"text": "a"}], {}, "add separator"),
        ([{"prompt": "a", "target": "b"}], {"evaluation": "test"}, "data.evaluation: there is no split 'test'; it has train"),
        (
            [{"prompt": "a", "target": "b"}, {"prompt": "a", "target": ""}],
            {},
            "rows that cannot be used: 1 with an empty target \\(row 1\\)",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told(data, tmp_path, rows, keys, message):
    with pytest.raises(UserError, match=message):
        load(data(rows, **keys), tmp_path)


def test_rows_are_skipped_where_that_is_asked(data, tmp_path):
    rows = [{"prompt": "a", "target": "b"}, {"prompt": "a", "target": ""}, {"prompt": None, "target": "c"}]
    splits = load(data(rows, on_error="skip", evaluation="train"), tmp_path)
    assert [example.id for example in splits.train] == ["train-0"]
    assert splits.report == {"rows left out: an empty target": 2, "rows left out: an empty prompt": 2}


def test_the_first_so_many_rows(data, tmp_path):
    splits = load(data(MESSAGES, max_train=3, max_evaluation=1, evaluation="train"), tmp_path)
    assert (len(splits.train), len(splits.evaluation)) == (3, 1)


def test_unknown_keys_and_columns_are_refused(data):
    for keys in ({"colums": {}}, {"columns": {"answer": "x"}}, {"turns": "first"}):
        with pytest.raises(ValidationError):
            data(MESSAGES, **keys)


def test_it_keeps_the_rules_of_datasets(data):
    config = data(MESSAGES, train="train[:75%]", evaluation="train[3:]", turns="all")
    check_dataset(HUGGING_FACE, config)


def test_its_fingerprint_follows_the_file_s_content(data, monkeypatch):
    monkeypatch.setattr(registry.datasets.__class__, "find_with_code", lambda self, name: registry.Found(
        HUGGING_FACE, sys.modules[HuggingFaceData.__module__], "kdzoo", "0"
    ))  # fmt: skip
    first = fingerprint_of_data(data(MESSAGES))
    assert fingerprint_of_data(data(MESSAGES)) == first
    assert fingerprint_of_data(data(MESSAGES[:3])) != first
    assert fingerprint_of_data(data(MESSAGES, turns="all")) != first


def test_the_library_is_not_imported_before_it_is_needed():
    code = "import sys, kdzoo.tasks.text.hugging_face; sys.exit('datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestInARecipe:
    RECIPE = """\
[data]
kind = "hf"
path = "{path}"
[student]
path = "model"
[[stage]]
kind = "distill"
method = "sft"
"""

    def written(self, tmp_path, path):
        file = tmp_path / "r.toml"
        file.write_text(self.RECIPE.format(path=path))
        return load_recipe(file)

    def test_a_path_is_relative_to_the_recipe_and_a_hub_name_stays(self, tmp_path):
        (tmp_path / "rows.jsonl").write_text("{}")
        assert self.written(tmp_path, "rows.jsonl").data.path == str(tmp_path / "rows.jsonl")
        assert self.written(tmp_path, "owner/name").data.path == "owner/name"

    def test_a_path_of_nothing_is_told(self, tmp_path):
        (tmp_path / "model").mkdir()
        with pytest.raises(UserError, match=r"data.path: there is no .*/some/where/rows.jsonl"):
            check_paths(self.written(tmp_path, "./some/where/rows.jsonl"))
        assert Path(self.written(tmp_path, "owner/name").data.path).name == "name"
        check_paths(self.written(tmp_path, "owner/name"))
