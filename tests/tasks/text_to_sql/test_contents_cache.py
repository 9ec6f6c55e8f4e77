"""What was read from a database is read once, and again when the database changes."""

import json
import sqlite3

import pytest

from kdzoo.errors import RunError
from kdzoo.tasks.text_to_sql import contents_cache
from kdzoo.tasks.text_to_sql.contents_cache import ContentsCache
from kdzoo.tasks.text_to_sql.schema import read_schema
from kdzoo.tasks.text_to_sql.values import ValueIndex

QUESTIONS = ["Who is from France?", "Who is Timbaland?", "How many?"]


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def files(cache):
    return sorted((cache / "contents").iterdir())


def test_from_disk_all_is_as_it_was_read(concerts, cache, monkeypatch):
    comments = {("singer", "name"): "full name"}
    with ValueIndex(concerts) as index:
        expected = [tuple(index.match(question)) for question in QUESTIONS]
    first = ContentsCache(concerts, cache)
    assert first.schema(comments) == read_schema(concerts, comments)
    assert first.matches(QUESTIONS) == expected
    first.save()

    def unread(*_):
        raise AssertionError("read again")

    monkeypatch.setattr(contents_cache, "read_schema", unread)
    monkeypatch.setattr(contents_cache, "ValueIndex", unread)
    second = ContentsCache(concerts, cache)
    assert second.schema(comments).tables == read_schema(concerts, comments).tables
    assert second.matches(QUESTIONS[::-1]) == expected[::-1]
    # comments belong to the dataset, not to the database
    assert second.schema({}) == read_schema(concerts)


def test_new_questions_are_added(concerts, cache):
    for asked in (QUESTIONS[:1], QUESTIONS):
        contents = ContentsCache(concerts, cache)
        assert len(contents.matches(asked)) == len(asked)
        contents.save()
    (file,) = files(cache)
    assert set(json.loads(file.read_text(encoding="utf-8"))["matches"]) == set(QUESTIONS)


def test_a_changed_database_is_read_anew(concerts, cache):
    ContentsCache(concerts, cache).save()
    before = ContentsCache(concerts, cache)
    before.schema({})
    before.save()
    with sqlite3.connect(concerts) as connection:
        connection.execute("ALTER TABLE venue ADD COLUMN seats INT")
    connection.close()
    after = ContentsCache(concerts, cache)
    assert [c.name for c in after.schema({}).tables[2].columns] == ["venue_id", "city", "seats"]
    after.save()
    assert len(files(cache)) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": '])
def test_a_damaged_file_is_made_again(concerts, cache, content):
    contents = ContentsCache(concerts, cache)
    contents.schema({})
    contents.save()
    (file,) = files(cache)
    whole = file.read_text(encoding="utf-8")
    file.write_text(content, encoding="utf-8")
    again = ContentsCache(concerts, cache)
    assert again.schema({}) == read_schema(concerts)
    again.save()
    assert file.read_text(encoding="utf-8") == whole


def test_what_is_no_database_is_named(tmp_path, cache):
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"not a database" * 100)
    contents = ContentsCache(path, cache)
    with pytest.raises(RunError, match=r"x\.sqlite"):
        contents.schema({})
    with pytest.raises(RunError, match=r"x\.sqlite"):
        contents.matches(["Who?"])
    contents.save()
    assert not list(cache.rglob("*.json"))


def test_a_database_of_a_long_name_has_a_file_too(concerts, cache):
    long = concerts.rename(concerts.with_name("x" * 240 + ".sqlite"))
    first = ContentsCache(long, cache)
    schema = first.schema({})
    first.save()
    assert len(files(cache)) == 1
    assert ContentsCache(long, cache).schema({}) == schema
