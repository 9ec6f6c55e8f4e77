"""Real data where it lies, and small databases and datasets made on the spot."""

import json
import shutil
import sqlite3

import pytest
from real_data import bird_folder, spider_folder


@pytest.fixture(scope="session")
def spider():
    return spider_folder()


@pytest.fixture(scope="session")
def bird():
    return bird_folder()


@pytest.fixture
def build_database(tmp_path):
    """Build NAME.sqlite from an SQL script."""

    def build(script, name="db"):
        path = tmp_path / f"{name}.sqlite"
        connection = sqlite3.connect(path)
        connection.executescript(script)
        connection.close()
        return path

    return build


@pytest.fixture
def concerts(build_database):
    """Names with spaces and reserved words, a text that is not UTF-8, an empty table, a foreign key."""
    return build_database(
        """
        CREATE TABLE singer (singer_id int PRIMARY KEY, Name text, Country text, "song release" text, bio blob);
        CREATE TABLE concert (concert_id int, singer_id int, "order" text,
            FOREIGN KEY (singer_id) REFERENCES singer (singer_id));
        CREATE TABLE venue (venue_id int, city text);
        INSERT INTO singer VALUES
            (1, 'Joe Sharp', 'Netherlands', '1992', x'00'),
            (2, 'Timbaland', NULL, '2008', NULL),
            (3, 'A name that is longer than any that is shown', 'France', '', NULL),
            (4, CAST(x'52656ee9' AS TEXT), 'France', NULL, NULL);
        INSERT INTO concert VALUES (1, 1, 'first'), (2, 1, 'first'), (3, 2, 'second');
        """,
        "concerts",
    )


class SpiderFolder:
    """A folder in Spider's layout with one database."""

    def __init__(self, path, database):
        self.path = path
        self.add_database(database)

    def add_database(self, file, name="concerts", folder="database"):
        place = self.path / folder / name
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place / f"{name}.sqlite")

    def ask(self, file, *entries):
        """Write a file of questions; text stands for a query that counts the rows of that table."""
        full = [count_of(entry) if isinstance(entry, str) else entry for entry in entries]
        (self.path / file).write_text(json.dumps(full), encoding="utf-8")


def count_of(table, db_id="concerts"):
    return {"db_id": db_id, "question": f"How many {table}?", "query": f"SELECT count(*) FROM {table}"}


@pytest.fixture
def folder(tmp_path, concerts):
    """Spider's layout: two questions in train_spider.json, one in dev.json."""
    folder = SpiderFolder(tmp_path / "spider", concerts)
    folder.ask("train_spider.json", "singer", "concert")
    folder.ask("dev.json", "venue")
    return folder
