"""Single files of runs, which may be broken, half written or not there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from kdzoo.report.run_files import DamagedError, as_table, is_number, read_lines, read_object


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "f"


def test_lines_are_read_one_after_the_other(file: Path) -> None:
    file.write_text('{"a": 1}\n{"a": 2}\n')
    assert list(read_lines(file)) == [{"a": 1}, {"a": 2}]


def test_a_line_that_is_being_written_is_left_out_where_that_may_be(file: Path) -> None:
    file.write_text('{"a": 1}\n{"a": ')
    assert list(read_lines(file, may_be_growing=True)) == [{"a": 1}]
    with pytest.raises(DamagedError, match="f:2: not valid JSON"):
        list(read_lines(file))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1}\n[]\n', "f:2: must be a JSON object"),
        (b"\n", "f:1: not valid JSON"),
        (b'{"a": 1}\n\xff\n', "f: not UTF-8 text"),
        (b"[" * 100_000, "f:1: nested too deeply"),
    ],
)
def test_a_damaged_line_is_told_with_its_place(file: Path, content: bytes, said: str) -> None:
    file.write_bytes(content)
    with pytest.raises(DamagedError, match=said):
        list(read_lines(file))


def test_a_file_that_is_not_there_is_told(file: Path) -> None:
    with pytest.raises(DamagedError, match="f: cannot be read: No such file"):
        list(read_lines(file))
    with pytest.raises(DamagedError, match="f: there is no such file"):
        read_object(file)


@pytest.mark.parametrize(
    ("content", "said"), [("[]", "must hold a JSON object"), ('{"a"', "f:1: not valid JSON")]
)
def test_an_object_must_be_one(file: Path, content: str, said: str) -> None:
    file.write_text(content)
    with pytest.raises(DamagedError, match=said):
        read_object(file)


@pytest.mark.parametrize("value", [0, -1.5, 10**300])
def test_a_number_is_one(value: float) -> None:
    assert is_number(value)


@pytest.mark.parametrize("value", [None, True, "1", [1], math.nan, math.inf, -math.inf, 10**400])
def test_what_no_score_or_time_can_be_is_no_number(value: Any) -> None:
    assert not is_number(value)


def test_what_is_no_table_is_an_empty_one() -> None:
    assert (as_table({"a": 1}), as_table([1]), as_table(None)) == ({"a": 1}, {}, {})
