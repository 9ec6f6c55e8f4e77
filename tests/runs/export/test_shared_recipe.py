"""A recipe without the places of the machine that it ran on."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from kdzoo.recipe import load_recipe
from kdzoo.runs.export.shared_recipe import local_name, without_places

RECIPE = """\
name = "r"
[data]
kind = "spider"
path = "{place}/spider"
databases = ["{place}/more/database"]
[datasets.chat]
kind = "hf"
path = "owner/data"
[datasets.own]
kind = "jsonl"
train = "{place}/train.jsonl"
evaluation = "sub/test.jsonl"
[evaluation_sets.own]
data = "own"
evaluation = "{place}/other/test2.jsonl"
[tokenizer]
path = "{place}/tok"
[teacher]
path = "owner/model"
[teachers.second]
path = "{place}/model"
[student]
path = "{place}/student"
[prompt]
template = "chat"
system = "/ is a slash, and {place} a place that is said"
[[stage]]
kind = "distill"
method = "multi"
options = {{ weights = {{ teacher = 0.5, second = 0.5 }} }}
"""


@pytest.fixture
def recipe(tmp_path: Path):
    place = tmp_path / "secret"
    for name in ("spider", "tok", "model", "student"):
        (place / name).mkdir(parents=True)
    (tmp_path / "r.toml").write_text(RECIPE.format(place=place))
    return load_recipe(tmp_path / "r.toml")


def test_places_are_gone_and_names_stay(recipe, tmp_path: Path) -> None:
    content = tomllib.loads(without_places(recipe))
    assert content["data"]["path"] == "./spider"
    assert content["data"]["databases"] == ["./database"]
    assert content["datasets"]["chat"]["path"] == "owner/data"
    assert content["datasets"]["own"]["train"] == "./train.jsonl"
    assert content["datasets"]["own"]["evaluation"] == "./test.jsonl"
    assert content["evaluation_sets"]["own"]["evaluation"] == "./test2.jsonl"
    assert content["tokenizer"]["path"] == "./tok"
    assert content["teacher"]["path"] == "owner/model"
    assert content["teachers"]["second"]["path"] == "./model"
    assert content["student"]["path"] == "./student"


def test_all_else_is_as_it_was_and_reads_as_a_recipe(recipe, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "r.toml").write_text(without_places(recipe))
    again = load_recipe(tmp_path / "again" / "r.toml")
    assert again.student.path == str(tmp_path / "again" / "student")
    assert again.stages == recipe.stages
    assert again.training == recipe.training
    assert again.prompt == recipe.prompt  # what is said to a model is no place


def test_a_place_that_is_a_value_of_anything_else_goes_too(recipe, tmp_path: Path, monkeypatch) -> None:
    stage = recipe.stages[0]
    monkeypatch.setitem(stage.options, "file", str(tmp_path / "r.toml"))
    monkeypatch.setitem(stage.options, "sign", "/")
    options = tomllib.loads(without_places(recipe))["stage"][0]["options"]
    assert (options["file"], options["sign"]) == ("./r.toml", "/")


@pytest.mark.parametrize(("path", "name"), [("/a/b", "b"), ("/a/b/", "b"), ("/", "folder")])
def test_a_place_is_called_by_its_last_name(path: str, name: str) -> None:
    assert local_name(path) == name
