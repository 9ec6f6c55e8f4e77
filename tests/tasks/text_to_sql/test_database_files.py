"""Finding databases, and what a tables file says of their columns."""

import json

import pytest

from kdzoo.errors import UserError
from kdzoo.tasks.text_to_sql.database_files import DatabaseFiles, read_column_names


@pytest.fixture
def folders(tmp_path):
    for folder, name in (
        ("database", "a"),
        ("database", "b"),
        ("test_database", "b"),
        ("test_database", "c"),
    ):
        place = tmp_path / folder / name
        place.mkdir(parents=True)
        (place / f"{name}.sqlite").touch()
    (tmp_path / "secret.sqlite").touch()
    return [tmp_path / "database", tmp_path / "test_database"]


def test_the_first_folder_that_has_a_database_counts(folders):
    files = DatabaseFiles(folders)
    for name, folder in (("a", "database"), ("b", "database"), ("c", "test_database")):
        assert files.find(name) == folders[0].parent / folder / name / f"{name}.sqlite"
    assert files.find("d") is None


@pytest.mark.parametrize("name", ["", ".", "..", "../secret", "a/../a", "/etc", "a\0", "x" * 5000, "\ud800"])
def test_a_name_that_is_none_finds_nothing(folders, name):
    assert DatabaseFiles(folders).find(name) is None


ENTRY = {
    "db_id": "shop",
    "table_names_original": ["Item", "sale"],
    "column_names_original": [[-1, "*"], [0, "ID"], [1, "itemId"]],
    "column_names": [[-1, "*"], [0, "id"], [1, "item id"]],
}


def write(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_words_by_table_and_column(tmp_path):
    one = write(tmp_path / "tables.json", [ENTRY])
    other = write(tmp_path / "test_tables.json", [{**ENTRY, "db_id": "bank"}])
    names = read_column_names([one, tmp_path / "missing.json", other])
    words = {("item", "id"): "id", ("sale", "itemid"): "item id"}
    assert names == {"shop": words, "bank": words}


@pytest.mark.parametrize(
    "entry",
    [
        3,
        {},
        {**ENTRY, "column_names": ENTRY["column_names"][:2]},
        {**ENTRY, "column_names_original": [[7, "x"]], "column_names": [[7, "x"]]},
        {**ENTRY, "column_names_original": [["0", "x"]], "column_names": [[0, "x"]]},
        {**ENTRY, "column_names_original": ["x"], "column_names": ["x"]},
        {**ENTRY, "table_names_original": None},
        {**ENTRY, "db_id": []},
    ],
)
def test_an_entry_in_another_format_is_named(tmp_path, entry):
    file = write(tmp_path / "tables.json", [ENTRY, entry])
    with pytest.raises(UserError, match=r"tables\.json: entry 1: not in the official format"):
        read_column_names([file])


def test_a_tables_file_that_is_no_json_is_named(tmp_path):
    (tmp_path / "tables.json").write_text("[\n{", encoding="utf-8")
    with pytest.raises(UserError, match=r"tables\.json:2: not valid JSON"):
        read_column_names([tmp_path / "tables.json"])
