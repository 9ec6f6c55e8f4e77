"""A table of data is read once for all runs that share a reader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kdzoo.errors import UserError
from kdzoo.tasks.load import DataReader
from kdzoo.tasks.text.jsonl import JsonlData


def table(path: Path, answers: int) -> JsonlData:
    path.write_text("".join(json.dumps({"prompt": "a", "target": str(i)}) + "\n" for i in range(answers)))
    return JsonlData(kind="jsonl", train=str(path))


def test_each_table_is_read_once(tmp_path: Path) -> None:
    reader = DataReader(tmp_path / "cache")
    one, other = table(tmp_path / "1.jsonl", 3), table(tmp_path / "2.jsonl", 5)
    assert [len(reader.read(data).train) for data in (one, other)] == [3, 5]
    assert reader.read(one.model_copy()) is reader.read(one)
    Path(one.train or "").unlink()
    assert len(reader.read(one).train) == 3
    with pytest.raises(UserError):
        DataReader(tmp_path / "cache").read(one)
