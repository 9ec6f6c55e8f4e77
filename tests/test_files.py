"""Files are replaced at once or not at all, and what the system refused is told in its own words."""

from __future__ import annotations

import errno
import json
import os
import resource
import sqlite3
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from kdzoo.files import new_folder, why_not_writable, why_not_written, write_json, write_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


class TestText:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
    @given(st.text(st.characters(codec="utf-8")))
    def test_any_text_is_written_as_it_is(self, tmp_path: Path, text: str) -> None:
        write_text(tmp_path / "file", text)
        assert (tmp_path / "file").read_bytes().decode() == text.replace("\n", os.linesep)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
    @given(JSON)
    def test_json_is_read_back(self, tmp_path: Path, content: object) -> None:
        write_json(tmp_path / "file.json", content)
        assert json.loads((tmp_path / "file.json").read_text(encoding="utf-8")) == content

    def test_nothing_else_is_left(self, tmp_path: Path) -> None:
        write_text(tmp_path / "file", "one")
        write_text(tmp_path / "file", "two")
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_a_failure_leaves_the_old_content(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        write_text(file, "old")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                write_text(file, "new" * 100)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert file.read_text() == "old"
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_content_that_is_no_json_leaves_the_old_file(self, tmp_path: Path) -> None:
        write_json(tmp_path / "file", [1])
        with pytest.raises(TypeError):
            write_json(tmp_path / "file", {"set": {1}})
        assert (tmp_path / "file").read_text() == "[\n  1\n]\n"


class TestFolder:
    def test_it_takes_its_name_when_it_is_full(self, tmp_path: Path) -> None:
        with new_folder(tmp_path / "a/model") as temporary:
            (temporary / "weights").write_text("w")
            assert not (tmp_path / "a/model").exists()
        assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == [
            "a",
            "a/model",
            "a/model/weights",
        ]

    def test_it_replaces_what_was_there(self, tmp_path: Path) -> None:
        (tmp_path / "model").mkdir()
        (tmp_path / "model/old").touch()
        with new_folder(tmp_path / "model") as temporary:
            (temporary / "new").touch()
        assert [path.name for path in (tmp_path / "model").iterdir()] == ["new"]

    def test_a_failure_leaves_what_was_there(self, tmp_path: Path) -> None:
        (tmp_path / "model").mkdir()
        (tmp_path / "model/old").touch()

        def fill_half() -> None:
            with new_folder(tmp_path / "model") as temporary:
                (temporary / "half").touch()
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fill_half()
        assert [path.name for path in tmp_path.iterdir()] == ["model"]
        assert [path.name for path in (tmp_path / "model").iterdir()] == ["old"]


class TestWhyNotWritten:
    def test_a_full_disk(self) -> None:
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        assert why_not_written(error) == "No space left on device"

    def test_a_file_that_may_not_be_written_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="Is a directory") as caught:
            tmp_path.write_text("")
        assert why_not_written(caught.value) == f"{tmp_path}: Is a directory"

    @pytest.mark.parametrize(
        ("file", "reason"),
        [
            ("runs/r", "Not a directory"),
            ("runs/r/model/weights", "model/weights: Not a directory"),
            ("runs/.cache/database", "runs/.cache/database: Not a directory"),
        ],
    )
    def test_a_file_is_named_as_it_is_seen_from_the_folder_that_is_named_before(
        self, file: str, reason: str
    ) -> None:
        error = NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), file)
        assert why_not_written(error, Path("runs/r")) == reason

    def test_what_libraries_raise_of_their_own(self, tmp_path: Path) -> None:
        """Under a limit that makes the system refuse, as it does where a disk is full."""
        errors: list[BaseException] = []
        weights = {"weights": torch.zeros(10_000)}
        database = sqlite3.connect(tmp_path / "database")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            for attempt in (
                lambda: save_file(weights, tmp_path / "file.safetensors"),
                lambda: torch.save(weights, tmp_path / "file.pt"),
                lambda: database.execute("create table t (c)"),
            ):
                with pytest.raises(Exception, match=r".") as caught:
                    attempt()
                errors.append(caught.value)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            database.close()
        assert [isinstance(error, OSError) for error in errors] == [False] * 3
        for error in errors:
            reason = why_not_written(error)
            assert reason, error
            assert "\n" not in reason

    @pytest.mark.parametrize(
        "error",
        [
            RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
            sqlite3.OperationalError("no such table: singer"),
            KeyError("disk"),
            BrokenPipeError(errno.EPIPE, "Broken pipe"),
        ],
    )
    def test_other_errors_are_not_the_system_s(self, error: BaseException) -> None:
        assert why_not_written(error) is None


class TestWhyNotWritable:
    def test_a_folder_that_can_be_made(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for folder in (tmp_path, tmp_path / "new/folder", Path("new/folder"), Path()):
            assert why_not_writable(folder) is None
        assert list(tmp_path.iterdir()) == []

    def test_a_file_in_its_place_or_on_the_way(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("taken").touch()
        assert why_not_writable(Path("taken")) == "Not a directory"
        assert why_not_writable(Path("taken/runs/r")) == "taken: Not a directory"

    def test_a_folder_that_is_another_s(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: not (mode & os.W_OK and path == tmp_path))
        assert why_not_writable(tmp_path) == "Permission denied"
        assert why_not_writable(tmp_path / "runs") == f"{tmp_path}: Permission denied"
