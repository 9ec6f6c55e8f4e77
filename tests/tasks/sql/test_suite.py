"""A test suite is every database in the folder, as for the official evaluator, without SQLite's journals."""

import sqlite3

from kdzoo.tasks.sql.suite import databases_in, suite_folder, suite_of


def test_every_file_with_sqlite_in_its_name_belongs_to_it_in_order(tmp_path):
    for name in ("shop.sqlite", "shop_v2.sqlite", "a.sqlite.old", "schema.sql", "shop.db"):
        (tmp_path / name).touch()
    (tmp_path / "folder.sqlite").mkdir()
    assert [file.name for file in suite_of(tmp_path / "shop.sqlite")] == [
        "a.sqlite.old",
        "shop.sqlite",
        "shop_v2.sqlite",
    ]


def test_the_journals_of_an_open_database_are_no_databases(tmp_path):
    database = tmp_path / "shop.sqlite"
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("CREATE TABLE t (x)")
    connection.commit()
    assert (tmp_path / "shop.sqlite-wal").is_file()
    assert suite_of(database) == [database]
    connection.close()


def test_a_database_that_is_not_there_is_its_own_suite(tmp_path):
    for missing in (tmp_path / "shop.sqlite", tmp_path / "nowhere/shop.sqlite"):
        assert suite_of(missing) == [missing]


def test_a_folder_that_holds_none_or_is_none_has_no_databases(tmp_path):
    (tmp_path / "schema.sql").touch()
    for folder in (tmp_path, tmp_path / "nowhere", tmp_path / "schema.sql"):
        assert databases_in(folder) == []


def test_a_folder_of_suites_is_laid_out_as_ours_or_as_the_official_one(tmp_path):
    assert suite_folder(tmp_path, "shop") == tmp_path / "shop"
    (tmp_path / "database/shop").mkdir(parents=True)
    assert suite_folder(tmp_path, "shop") == tmp_path / "database/shop"
    assert suite_folder(tmp_path, "bank") == tmp_path / "bank"
