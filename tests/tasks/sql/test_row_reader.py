"""Statements are run for their rows in a process of their own, which may be killed and ends with its owner."""

import os
import shutil
import signal
import sqlite3
import sys

import pytest

from kdzoo.tasks.sql import Limits
from kdzoo.tasks.sql.executor import SQLITE
from kdzoo.tasks.sql.row_reader import RowReader


def test_a_killed_process_is_started_again(singers):
    with RowReader(Limits()) as reader:
        assert reader.run("SELECT 1", singers, 1).result.rows == [[1]]
        first = reader._worker.pid
        os.kill(first, signal.SIGKILL)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)  # it may answer until then
        assert reader.run("SELECT 2", singers, 1).result.rows == [[2]]
        last = reader._worker.pid
        assert last != first
    assert reader._worker.pid is None


@pytest.mark.skipif(sys.platform != "linux", reason="leaves a journal as a killed process does")
def test_rows_in_a_journal_are_read(build_database, tmp_path):
    database = build_database("PRAGMA journal_mode = WAL; CREATE TABLE t (n INT);")
    connection = sqlite3.connect(database)
    connection.execute("INSERT INTO t VALUES (7)")
    connection.commit()
    left = tmp_path / "left"
    shutil.copytree(database.parent, left)  # while the journal has the row
    connection.close()
    with RowReader(Limits()) as reader:
        assert reader.run("SELECT n FROM t", left / database.name, 5).result.rows == [[7]]


def test_the_executor_reads_within_the_metric_s_limits(singers):
    with SQLITE.open_rows("bird-ex", None) as reader:
        assert reader._limits == Limits.of("bird-ex")
        assert reader.run("SELECT 1", singers, 1).right
