"""What a dataset says of itself where it leaves it to the defaults."""

from dataclasses import replace
from pathlib import Path

import pytest

from kdzoo.tasks.dataset import DataConfig, Dataset, Inputs


class Table(DataConfig):
    folder: str
    file: str | None = None


@pytest.fixture
def describe():
    def describe(**more):
        settings = {"metrics": ("a", "b"), "folder_keys": ("folder",), "file_keys": ("file",), **more}
        return Dataset(name="d", summary="", config=Table, load=lambda config, cache: None, **settings)

    return describe


@pytest.fixture
def table(tmp_path):
    (tmp_path / "data" / "deep").mkdir(parents=True)
    for name in ("data/one.txt", "data/deep/two.txt", "three.txt"):
        (tmp_path / name).write_text(name)
    return Table(kind="d", folder=str(tmp_path / "data"), file=str(tmp_path / "three.txt"))


def test_the_first_metric_is_the_default_unless_others_are(describe):
    assert describe().usual_metrics == ("a",)
    assert describe(default_metrics=("b", "a")).usual_metrics == ("b", "a")


@pytest.mark.parametrize(
    ("wrong", "missing"),
    [
        ({}, []),
        ({"file": None}, []),
        ({"folder": "nowhere"}, [("folder", "nowhere")]),
        ({"folder": "FILE", "file": "FOLDER"}, [("folder", "FILE"), ("file", "FOLDER")]),
    ],
)
def test_what_is_not_there_or_is_something_else_is_missing(describe, table, wrong, missing):
    places = {"FILE": table.file, "FOLDER": table.folder}
    config = table.model_copy(update={key: places.get(path, path) for key, path in wrong.items()})
    assert list(describe().missing(config)) == [(key, places.get(path, path)) for key, path in missing]


def test_a_hub_name_is_not_looked_for(describe, table):
    hub = describe(file_keys=(), hub_keys=("file",))
    for path, missing in ((table.file, []), ("owner/name", []), ("/no/where", [("file", "/no/where")])):
        assert list(hub.missing(table.model_copy(update={"file": path}))) == missing
    assert hub.path_keys == ("folder", "file")


def test_all_files_that_the_table_names_shape_the_examples(describe, table):
    inputs = describe().shaping(table)
    assert sorted(Path(file).name for file in inputs.files) == ["one.txt", "three.txt", "two.txt"]
    assert inputs.unread == frozenset()


def test_or_those_that_it_says(describe, table):
    own = Inputs([Path("x")], unread=frozenset({"file"}))
    assert describe(inputs=lambda config: own).shaping(table) == own


class TestSeveralPaths:
    def test_each_must_be_there(self, describe, table):
        class Tables(Table):
            files: tuple[str, ...] = ()

        config = Tables(kind="d", folder=table.folder, files=(table.file, "absent"))
        dataset = replace(describe(), config=Tables, file_keys=("files",))
        assert list(dataset.missing(config)) == [("files", "absent")]
        assert str(table.file) in {str(file) for file in dataset.shaping(config).files}

    def test_files_inside_a_folder_are_looked_for_where_the_folder_is_there(self, describe, table):
        def inside(config):
            return [("file", Path(config.folder) / name) for name in ("one.txt", "none.txt")]

        dataset = describe(files_inside=inside)
        assert list(dataset.missing(table)) == [("file", f"{table.folder}/none.txt")]
        gone = table.model_copy(update={"folder": "nowhere"})
        assert list(dataset.missing(gone)) == [("folder", "nowhere")]


class TestOnePart:
    def test_is_all_unless_the_dataset_says_what_belongs_to_it(self, describe, table):
        assert describe().part_of(table, "train") is table

    def test_is_what_the_dataset_leaves_of_its_table(self, describe, table):
        def part(config, name):
            return None if name == "train" else config.model_copy(update={"file": None})

        dataset = describe(part=part)
        assert dataset.part_of(table, "train") is None
        assert dataset.part_of(table, "evaluation").file is None
