"""What stands in a database's journals is read, and the folder stays as it is."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from kdzoo.errors import RunError
from kdzoo.tasks.sql import Verdict
from kdzoo.tasks.sql.fuzz.schema import read_schema as read_fuzz_schema
from kdzoo.tasks.sql.journals import is_journal, journals_of, settled
from kdzoo.tasks.sql.suite import suite_of
from kdzoo.tasks.text_to_sql.contents_cache import ContentsCache
from kdzoo.tasks.text_to_sql.schema import read_schema
from kdzoo.tasks.text_to_sql.values import ValueIndex


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def in_wal(tmp_path):
    """A database whose second row stands in its -wal only, in a folder that cannot be written to."""
    source = tmp_path / "source.sqlite"
    connection = sqlite3.connect(source, isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode = WAL; CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('old');"
    )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("INSERT INTO t VALUES ('new')")
    folder = tmp_path / "shop"
    folder.mkdir()
    shutil.copyfile(source, folder / "shop.sqlite")
    shutil.copyfile(f"{source}-wal", folder / "shop.sqlite-wal")
    connection.close()
    folder.chmod(0o555)
    yield folder / "shop.sqlite"
    folder.chmod(0o755)


@pytest.fixture
def interrupted(tmp_path):
    """A database that was left in the middle of a change; its -journal says what stood there before."""
    source = tmp_path / "source.sqlite"
    connection = sqlite3.connect(source, isolation_level=None)
    connection.executescript("CREATE TABLE t (x TEXT); PRAGMA cache_size = 5;")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO t VALUES (?)", [(f"old {n:0500}",) for n in range(400)])
    connection.execute("COMMIT")
    connection.execute("BEGIN")
    connection.execute("UPDATE t SET x = replace(x, 'old', 'new')")
    folder = tmp_path / "shop"
    folder.mkdir()
    shutil.copyfile(source, folder / "shop.sqlite")
    shutil.copyfile(f"{source}-journal", folder / "shop.sqlite-journal")
    connection.execute("ROLLBACK")
    connection.close()
    return folder / "shop.sqlite"


@pytest.mark.parametrize("metric", ["ex", "ts", "bird-ex"])
def test_verdicts_know_the_rows_in_a_wal(in_wal, verdict, metric):
    before = contents(in_wal.parent)
    assert verdict("SELECT x FROM t", "VALUES ('old'), ('new')", database=in_wal, metric=metric) == Verdict(
        True
    )
    assert contents(in_wal.parent) == before


def test_prompts_know_the_rows_in_a_wal(in_wal):
    before = contents(in_wal.parent)
    assert read_schema(in_wal).tables[0].columns[0].values == ("old", "new")
    with ValueIndex(in_wal) as index:
        assert [match.values for match in index.match("Which are new?")] == [("new",)]
    assert read_fuzz_schema(in_wal).tables[0].columns[0].values == ("old", "new")
    assert contents(in_wal.parent) == before


def test_what_was_read_before_a_wal_came_is_read_again(in_wal, tmp_path):
    alone = tmp_path / "alone" / in_wal.name
    alone.parent.mkdir()
    shutil.copyfile(in_wal, alone)
    values = []
    for _ in range(2):
        cache = ContentsCache(alone, tmp_path / "cache")
        values.append(cache.schema({}).tables[0].columns[0].values)
        cache.save()
        shutil.copyfile(f"{in_wal}-wal", f"{alone}-wal")
    assert values == [("old",), ("old", "new")]


def test_an_interrupted_change_is_undone(interrupted, verdict):
    before = contents(interrupted.parent)
    assert any(b"new 0" in content for content in before.values())
    assert verdict(
        "SELECT count(*) FROM t WHERE x LIKE 'old %'", "SELECT 400", database=interrupted
    ) == Verdict(True)
    assert read_schema(interrupted).tables[0].columns[0].name == "x"
    assert contents(interrupted.parent) == before


def test_journals_are_no_databases_of_a_suite(in_wal):
    assert suite_of(in_wal) == [in_wal]
    names = ("a.sqlite", "a.sqlite-wal", "a.sqlite-shm", "a.sqlite-journal", "wal.sqlite")
    assert [is_journal(Path(name)) for name in names] == [False, True, True, True, False]


def test_a_link_to_a_database_has_the_journals_of_the_database(in_wal, tmp_path):
    link = tmp_path / "link.sqlite"
    link.symlink_to(in_wal)
    assert journals_of(link) == [in_wal.resolve().with_name("shop.sqlite-wal")]
    with settled(link) as file:
        connection = sqlite3.connect(file)
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (2,)
        connection.close()
    assert not file.exists()


def test_without_journals_the_database_itself_is_read(singers):
    with settled(singers) as file:
        assert file == singers


def test_a_journal_beside_no_database_changes_nothing(tmp_path, verdict):
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"not a database" * 100)
    broken.with_name("broken.sqlite-wal").write_bytes(b"nor a journal" * 100)
    assert verdict("SELECT 1 FROM t", "SELECT 1", database=broken).gold_error is not None


def test_a_journal_that_cannot_be_copied_is_told(in_wal, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kdzoo.tasks.sql.journals.shutil.copyfile", fail)
    message = r"shop\.sqlite: cannot be copied with its shop\.sqlite-wal: No space left on device"
    with pytest.raises(RunError, match=message), settled(in_wal):
        pass
