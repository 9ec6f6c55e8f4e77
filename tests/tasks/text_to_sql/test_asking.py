"""A user's question has the prompt that the same question of the dataset has; what is no database is told."""

import json
import shutil
from pathlib import Path

import pytest

from kdzoo.errors import RunError, UserError
from kdzoo.tasks import registry


def data_of(kind, cache, **settings):
    dataset = registry.datasets.find(kind)
    config = dataset.config(kind=kind, **settings)
    return dataset.asking(config, cache), dataset.load(config, cache)


@pytest.fixture
def spider_data(folder, tmp_path):
    tables = {
        "db_id": "concerts",
        "table_names_original": ["singer"],
        "column_names_original": [[-1, "*"], [0, "Name"]],
        "column_names": [[-1, "*"], [0, "what they are called"]],
    }
    (folder.path / "tables.json").write_text(json.dumps([tables]))
    return lambda **settings: data_of("spider", tmp_path / "cache", path=str(folder.path), **settings)


@pytest.mark.parametrize("form", ["codes", "ddl", "m_schema"])
def test_prompts_are_spider_s(spider_data, form):
    asking, splits = spider_data(form=form)
    assert (asking.names, asking.sql_rule) == (["concerts"], splits.sql_rule)
    for example in [*splits.train, *splits.evaluation]:
        asked = asking.example(example.question, "concerts")
        assert (asked.prompt, asked.group, asked.database) == (
            example.prompt,
            example.group,
            example.database,
        )
        shorter = [one.shorten(lambda text: len(text) < 200, False) for one in (asked, example)]
        assert shorter[0] == shorter[1]
    assert any("what they are called" in example.prompt.lower() for example in splits.train)


def test_contents_that_a_question_mentions_are_found(spider_data):
    asking, _ = spider_data()
    assert (
        "singer.country ( netherlands )"
        in asking.example("Who is from the Netherlands?", "concerts").prompt.lower()
    )


def test_prompts_are_bird_s_without_knowledge(tmp_path, concerts):
    for split in ("train", "dev"):
        place = tmp_path / f"bird/{split}/{split}_databases/concerts"
        place.mkdir(parents=True)
        shutil.copy(concerts, place)
        entry = {"db_id": "concerts", "question": "Who sings?", "SQL": "SELECT Name FROM singer"}
        (tmp_path / f"bird/{split}/{split}.json").write_text(json.dumps([entry]))
    (place / "database_description").mkdir()
    (place / "database_description/singer.csv").write_text(
        "original_column_name,column_name,column_description,data_format,value_description\nName,,stage name,,\n"
    )
    asking, splits = data_of(
        "bird", tmp_path / "cache", path=str(tmp_path / "bird"), train=(), evidence=False
    )
    (example,) = splits.evaluation
    assert "stage name" in example.prompt
    assert asking.example("Who sings?", "concerts").prompt == example.prompt
    assert (asking.names, asking.sql_rule) == (["concerts"], "bird")


def test_prompts_are_the_embedded_benchmark_s(tmp_path):
    asking, splits = data_of(
        "embedded", tmp_path, questions=50, test_questions=10, databases=("music", "travel")
    )
    assert list(asking.names) == ["music", "travel"]
    for example in splits.evaluation:
        asked = asking.example(example.question, example.group)
        assert (asked.prompt, asked.database) == (example.prompt, example.database)


def test_any_sqlite_file_can_be_asked_on(spider_data, build_database):
    asking, _ = spider_data()
    shop = build_database("CREATE TABLE item (price int);", "shop")
    asked = asking.example("How many?", shop)
    assert "item.price" in asked.prompt
    assert asked.database == shop
    # what the dataset says of its own database is not said of another of that name
    (shop.parent / "other").mkdir()
    alike = shutil.copy(asking.example("x", "concerts").database, shop.parent / "other/concerts.sqlite")
    assert "what they are called" not in asking.example("Who?", Path(alike)).prompt


@pytest.mark.parametrize(
    ("database", "error", "told"),
    [
        ("concert", UserError, 'no database is called "concert"; did you mean "concerts"?'),
        ("../concerts", UserError, "no database is called"),
        (Path("absent.sqlite"), UserError, "absent.sqlite: there is no such file"),
        (Path(), UserError, "is a folder, not a SQLite file"),
        (Path("text.sqlite"), RunError, "text.sqlite: cannot be read as a SQLite database"),
        (Path("empty.sqlite"), UserError, "empty.sqlite: has no table to ask about"),
    ],
)
def test_what_is_no_database_is_told(spider_data, tmp_path, monkeypatch, database, error, told):
    asking, _ = spider_data()
    monkeypatch.chdir(tmp_path)
    Path("text.sqlite").write_text("not a database, but long enough to be looked at" * 10)
    Path("empty.sqlite").touch()
    with pytest.raises(error) as raised:
        asking.example("x", database)
    assert told in str(raised.value)
