"""Whether a folder holds an adapter, and on which base it stands, without anything being loaded."""

import json
import shutil
from pathlib import Path

import pytest

from kdzoo.engine.models.adapter_folder import Base, base_of, is_adapter
from kdzoo.errors import UserError


@pytest.fixture
def adapter(tmp_path):
    def make(name, **content):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_text(json.dumps(content))
        return folder

    return make


def test_an_adapter_has_a_configuration_of_its_own(adapter, tmp_path):
    assert is_adapter(adapter("a", base_model_name_or_path="some/model"))
    (tmp_path / "config.json").write_text("{}")
    assert not is_adapter(tmp_path)
    assert not is_adapter(tmp_path / "nothing")


def test_what_peft_writes_is_read(make_model, tmp_path):
    model = make_model("llama", lora=True)
    model.peft_config["default"].base_model_name_or_path = "some/model"
    model.peft_config["default"].revision = "v2"
    model.save_pretrained(tmp_path)
    assert is_adapter(tmp_path)
    assert base_of(tmp_path) == Base("some/model", "v2")


def test_a_base_is_a_hub_name_with_its_revision_or_a_folder(adapter, tmp_path):
    assert base_of(adapter("a", base_model_name_or_path="some/model")) == Base("some/model", None)
    assert base_of(adapter("b", base_model_name_or_path="some/model", revision="v1")) == Base(
        "some/model", "v1"
    )
    assert base_of(adapter("c", base_model_name_or_path=str(tmp_path))) == Base(str(tmp_path))


def test_where_the_named_folder_is_gone_it_is_the_base_beside_it(adapter, tmp_path):
    made = tmp_path / "made/base"
    made.mkdir(parents=True)
    folder = adapter("made/model", base_model_name_or_path=str(made))
    assert base_of(folder) == Base(str(made))
    shutil.move(tmp_path / "made", tmp_path / "moved")
    assert base_of(tmp_path / "moved/model") == Base(str(tmp_path / "moved/base"))


def test_a_named_folder_counts_before_one_beside(adapter, tmp_path):
    for folder in ("elsewhere", "run/base"):
        (tmp_path / folder).mkdir(parents=True)
    folder = adapter("run/model", base_model_name_or_path=str(tmp_path / "elsewhere"))
    assert base_of(folder) == Base(str(tmp_path / "elsewhere"))


def test_adapters_may_stand_on_adapters(adapter):
    first = adapter("first", base_model_name_or_path="some/model")
    second = adapter("second", base_model_name_or_path=str(first))
    assert base_of(second) == Base(str(first))


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_circle_is_a_mistake(adapter, tmp_path, length):
    folders = [
        adapter(str(n), base_model_name_or_path=str(tmp_path / str((n + 1) % length))) for n in range(length)
    ]
    for folder in folders:
        with pytest.raises(UserError, match="leads back to the adapter itself") as caught:
            base_of(folder)
        assert str(caught.value).startswith(f"{folder / 'adapter_config.json'}: ")


def test_so_is_one_among_its_bases(adapter, tmp_path):
    first, second, third = (
        adapter(name, base_model_name_or_path=str(tmp_path / on)) for name, on in ("ab", "bc", "cb")
    )
    for folder in (first, second, third):
        with pytest.raises(UserError, match="leads back"):
            base_of(folder)


def test_a_folder_that_is_reached_by_another_path_is_the_same(adapter, tmp_path):
    folder = adapter("a", base_model_name_or_path=str(tmp_path / "link"))
    Path(tmp_path / "link").symlink_to(folder)
    with pytest.raises(UserError, match="leads back"):
        base_of(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ":1: not valid JSON"),
        ("{", ":1: not valid JSON"),
        ("[]", ": must hold a JSON object"),
        ("3", ": must hold a JSON object"),
        ("{}", ": names no base model"),
        ('{"base_model_name_or_path": null}', ": names no base model"),
        ('{"base_model_name_or_path": ""}', ": names no base model"),
        ('{"base_model_name_or_path": 7}', ": names no base model"),
    ],
)
def test_one_that_names_no_base_is_told_with_its_file(content, said, tmp_path):
    (tmp_path / "adapter_config.json").write_text(content)
    with pytest.raises(UserError) as caught:
        base_of(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'adapter_config.json'}{said}")


def test_an_exported_adapter_brings_its_base_along(adapter, tmp_path, monkeypatch):
    exported = adapter("exported", base_model_name_or_path="base")
    (exported / "base").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()  # another one, where the program runs
    assert base_of(exported) == Base(str(exported / "base"))
