"""Where an export may go."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdzoo.errors import RunError, UserError
from kdzoo.runs.export import place
from kdzoo.runs.export.place import check_room, new_place


def test_a_new_or_an_empty_folder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty", "new/inner"):
        assert new_place(Path(name)) == tmp_path / name


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is not empty; give a new folder"):
        new_place(tmp_path)
    with pytest.raises(UserError, match="file: is a file; give a new folder"):
        new_place(tmp_path / "file")
    with pytest.raises(RunError, match=r"inner: cannot be written: Not a directory"):
        new_place(tmp_path / "file" / "inner")


def test_a_full_disk_is_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "free_bytes", lambda _: 3 << 30)
    check_room(tmp_path / "new", 3 << 30)
    with pytest.raises(RunError, match=r"new: an export needs 4\.0 GiB, and 3\.0 GiB are free there"):
        check_room(tmp_path / "new", 4 << 30)
