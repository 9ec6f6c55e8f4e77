"""Small databases to judge on, and the real Spider data where it is present."""

import os
import sqlite3
from pathlib import Path

import pytest

from kdzoo.tasks.sql import Item, Judge

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def build_database(tmp_path):
    """Build FOLDER/NAME.sqlite from an SQL script; by default in a folder of its own."""

    def build(script, name="db", folder=None):
        folder = folder or tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.sqlite"
        connection = sqlite3.connect(path)
        connection.executescript(script)
        connection.close()
        return path

    return build


@pytest.fixture
def singers(build_database):
    """Four singers, two of the same age, one without a country; and a table of the numbers 0 to 999."""
    return build_database(
        """
        CREATE TABLE singer (singer_id INTEGER PRIMARY KEY, name TEXT, country TEXT, age INT, height REAL);
        INSERT INTO singer VALUES
            (1, 'Joe', 'France', 52, 180.0), (2, 'Ann', 'France', 31, 170.5),
            (3, 'Tim', NULL, 31, 175.0), (4, 'Bo', 'Chad', 20, NULL);
        CREATE INDEX by_height ON singer (height);
        CREATE TABLE numbers (n INT);
        WITH RECURSIVE r(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM r WHERE x < 999)
            INSERT INTO numbers SELECT x FROM r;
        CREATE VIEW names AS SELECT name FROM singer;
        CREATE VIRTUAL TABLE words USING fts5(word);
        INSERT INTO words VALUES ('one'), ('two');
        """,
        "singers",
    )


@pytest.fixture(scope="session")
def judge():
    """A judge with the default limits."""
    with Judge() as judge:
        yield judge


@pytest.fixture
def verdict(judge, singers):
    """Judge one prediction against one gold query."""

    def give(gold, prediction, *, metric="ex", database=singers):
        return judge.judge([Item(gold, prediction, database)], metric)[0]

    return give


@pytest.fixture(scope="session")
def spider_folder():
    """The real Spider data."""
    folder = Path(os.environ.get("KDZOO_DATA", REPOSITORY / ".." / "shared" / "data")) / "spider"
    if not (folder / "dev.json").is_file():
        pytest.skip(f"the Spider data is not at {folder}; KDZOO_DATA names the folder that holds spider/")
    return folder
