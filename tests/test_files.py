"""Files are replaced at once or not at all, and what the system refused is told in its own words."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from kdzoo.errors import UserError
from kdzoo.files import (
    NotJSONError,
    digest_of,
    free_bytes,
    is_out_of_memory,
    new_folder,
    parse_json,
    read_json,
    read_text,
    temporary_name,
    why_not_writable,
    why_not_written,
    write_json,
    write_text,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


class TestReading:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
    @given(st.text(st.characters(codec="utf-8")).filter(lambda text: not text.startswith("\ufeff")))
    def test_any_text_is_read_as_it_is_with_and_without_a_byte_order_mark(
        self, tmp_path: Path, text: str
    ) -> None:
        for codec in ("utf-8", "utf-8-sig"):
            (tmp_path / "file").write_bytes(text.encode(codec))
            assert read_text(tmp_path / "file") == text

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
    @given(JSON)
    def test_any_json_is_read(self, tmp_path: Path, content: object) -> None:
        (tmp_path / "file").write_text(json.dumps(content))
        assert read_json(tmp_path / "file") == content
        assert parse_json(json.dumps(content)) == content

    def test_what_is_not_there_or_is_a_folder_is_told_as_what_it_should_be(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        with pytest.raises(UserError) as caught:
            read_text(file)
        assert str(caught.value) == f"{file}: there is no such file"
        with pytest.raises(UserError) as caught:
            read_text(tmp_path, "recipe")
        assert str(caught.value) == f"{tmp_path}: is a folder, not a recipe"
        file.touch()
        with pytest.raises(UserError) as caught:
            read_json(file / "inside")
        assert str(caught.value) == f"{file / 'inside'}: cannot be read: Not a directory"

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"a\nb\xff\n", "file:2: not UTF-8 text (byte 3 of the file)"),
            ("[]".encode("utf-16"), "file: is UTF-16 text; write it as UTF-8"),
            (b"", "file:1: not valid JSON: Expecting value (column 1)"),
            (b'{"a": 1,\n "b"}', "file:2: not valid JSON: Expecting ':' delimiter (column 5)"),
            (b"[" * 100_000, "file: nested too deeply"),
            (b"9" * 5000, "file: not valid JSON: Exceeds the limit"),
        ],
        ids=["bytes", "utf-16", "empty", "json", "deep", "long"],
    )
    def test_what_is_wrong_is_told_with_its_line(self, tmp_path: Path, content: bytes, message: str) -> None:
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(UserError) as caught:
            read_json(tmp_path / "file")
        assert str(caught.value).startswith(f"{tmp_path}/{message}")

    def test_one_line_of_many_is_told_without_its_file(self) -> None:
        with pytest.raises(NotJSONError, match=r"^not valid JSON: Expecting value \(column 5\)$") as caught:
            parse_json('[1, x"]')
        assert caught.value.line == 1


def test_a_temporary_name_is_hidden_beside_its_file_and_no_other_process_s() -> None:
    name = temporary_name(Path("there/file.json"))
    assert name.parent == Path("there")
    assert re.fullmatch(rf"\.file\.json\.{os.getpid()}-[0-9a-f]{{8}}\.tmp", name.name)
    # a process of the same number on another machine
    code = "from pathlib import Path; from kdzoo import files; print(files.temporary_name(Path('file.json')).name)"
    others = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True) for _ in range(2)]
    assert len({other.stdout.split("-")[1] for other in others} | {name.name.split("-")[1]}) == 3


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


def test_free_bytes_are_those_of_the_disk_that_a_folder_will_be_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or SimpleNamespace(free=7))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "new/inner", tmp_path / "file", Path("new/inner")):
        assert free_bytes(folder) == 7
    assert [path.absolute() for path in asked] == [tmp_path] * 4


class TestOutOfMemory:
    @pytest.mark.parametrize(
        "error",
        [
            MemoryError(),
            OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), "model.safetensors"),
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried"
            ),
            ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        ],
    )
    def test_is_told_by_the_system_and_by_libraries(self, error: BaseException) -> None:
        assert is_out_of_memory(error)

    @pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyError("memory")])
    def test_is_not_what_else_goes_wrong(self, error: BaseException) -> None:
        assert not is_out_of_memory(error)


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


class TestDigest:
    def test_it_follows_the_content_and_not_the_name_or_the_time(self, tmp_path: Path) -> None:
        file, copy = tmp_path / "a", tmp_path / "b"
        file.write_bytes(b"some bytes")
        copy.write_bytes(b"some bytes")
        os.utime(copy, (1, 1))
        assert digest_of(file) == digest_of(copy)
        copy.write_bytes(b"same bytes")
        os.utime(copy, (1, 1))
        assert digest_of(file) != digest_of(copy)

    def test_of_a_large_file_size_time_and_first_bytes_count(self, tmp_path: Path) -> None:
        file = tmp_path / "large"
        file.write_bytes(b"a" * 2_000_000)
        os.utime(file, (1, 1))
        before = digest_of(file, whole=1000)
        os.utime(file, (2, 2))
        assert digest_of(file, whole=1000) != before
        file.write_bytes(b"b" + b"a" * 1_999_999)
        os.utime(file, (1, 1))
        assert digest_of(file, whole=1000) != before
        assert digest_of(file, whole=1000) != digest_of(file)
