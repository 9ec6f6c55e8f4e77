"""Local files of every kind, folders and saved datasets are read alike, and what is missing is told."""

import builtins

import datasets
import pytest

from kdzoo.errors import UserError
from kdzoo.tasks.text.splits import read_split

ROWS = [{"prompt": f"p{number}", "target": f"t{number}"} for number in range(10)]


@pytest.fixture
def write(tmp_path):
    made = datasets.Dataset.from_list(ROWS)
    tmp_path.joinpath("data").mkdir()

    def give(name):
        path = tmp_path / "data" / name
        if name == "saved":
            datasets.DatasetDict({"train": made, "test": made.select(range(3))}).save_to_disk(path)
        elif name == "saved alone":
            made.save_to_disk(path)
        elif name == "folder":
            path.mkdir()
            made.to_json(path / "train.jsonl")
            made.select(range(3)).to_json(path / "test.jsonl")
        elif name.endswith(".tsv"):
            made.to_csv(path, sep="\t")
        elif name.endswith(".arrow"):
            made.save_to_disk(path.parent / "arrow")
            next((path.parent / "arrow").glob("*.arrow")).rename(path)
        else:
            {".parquet": made.to_parquet, ".jsonl": made.to_json, ".csv": made.to_csv}[path.suffix](path)
        return str(path)

    return give


def read(path, split, tmp_path, subset=None):
    return read_split(path, subset, None, split, "data.train", tmp_path / "cache")


@pytest.mark.parametrize(
    "name", ["a.parquet", "a.jsonl", "a.csv", "a.tsv", "a.arrow", "saved", "saved alone", "folder"]
)
def test_every_kind_is_read(write, tmp_path, name):
    table = read(write(name), "train", tmp_path)
    assert table.columns == ["prompt", "target"]
    assert list(table.rows(["prompt", "target"])) == ROWS
    assert list(table.rows(["target"], 2)) == [{"target": "t0"}, {"target": "t1"}]


@pytest.mark.parametrize(
    ("split", "numbers"),
    [
        ("test", [0, 1, 2]),
        ("train[:20%]", [0, 1]),
        ("train[8:]", [8, 9]),
        ("train[-1:]+test[:2]", [9, 0, 1]),
    ],
)
def test_parts_of_splits(write, tmp_path, split, numbers):
    table = read(write("saved"), split, tmp_path)
    assert [row["prompt"] for row in table.rows(["prompt"])] == [f"p{number}" for number in numbers]
    assert [row["prompt"] for row in table.rows(["prompt"], 2)] == [f"p{number}" for number in numbers[:2]]


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        (
            "saved",
            "tset",
            "data.train: there is no split 'tset'; did you mean \"test\"\\?; it has train, test",
        ),
        ("saved alone", "dev", "there is no split 'dev'; it has train"),
        ("saved", "train[:x]", "'train\\[:x\\]' cannot be read as a split"),
    ],
)
def test_splits_that_are_not_there(write, tmp_path, name, split, message):
    with pytest.raises(UserError, match=message):
        read(write(name), split, tmp_path)


def test_files_that_cannot_be_read(tmp_path):
    for name, content, message in (
        ("a.jsonl", '{"a": 1}\n{"a": \n', "cannot be read: .*JSON parse error"),
        ("a.parquet", "x", "cannot be read: .*Parquet"),
        ("a.txt", "x", "must end with one of .parquet"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(UserError, match=message):
            read(str(tmp_path / name), "train", tmp_path)


def test_a_name_of_nothing(tmp_path):
    with pytest.raises(UserError, match="nobody/nothing: there is no such folder or file, and as a hub name"):
        read("nobody/nothing", "train", tmp_path)


def test_without_the_library(tmp_path, monkeypatch):
    usual = builtins.__import__

    def without(name, *more, **others):
        if name == "datasets":
            raise ImportError(name)
        return usual(name, *more, **others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r'pip install "kdzoo\[datasets\]"'):
        read("x", "train", tmp_path)
