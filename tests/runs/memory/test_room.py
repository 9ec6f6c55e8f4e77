"""The memory that there is: the least of what the machine, the container and the process's limits leave."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kdzoo.runs.memory import room as room_module
from kdzoo.runs.memory.room import room_on

GIB = 1 << 30


def limited(root: Path, most: str, now: int, inactive: int) -> None:
    (root / "memory.max").write_text(f"{most}\n")
    (root / "memory.current").write_text(f"{now}\n")
    (root / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(room_module, "_CGROUPS", tmp_path)
    return tmp_path


def test_a_container_leaves_its_limit_without_what_is_used_and_cannot_be_given_back(cgroup: Path) -> None:
    limited(cgroup, str(GIB), GIB // 2, GIB // 8)
    room = room_on(torch.device("cpu"))
    assert room.free == GIB // 2 + GIB // 8
    assert "container" in room.limit
    assert room.most == room.free + room.taken


@pytest.mark.parametrize("most", ["max", "nonsense"])
def test_without_a_limit_it_is_the_machine_s(cgroup: Path, most: str) -> None:
    limited(cgroup, most, GIB, 0)
    room = room_on(torch.device("cpu"))
    assert "machine" in room.limit
    assert 0 < room.free < 1 << 50


def test_the_first_version_of_control_groups_has_other_files(cgroup: Path) -> None:
    (cgroup / "memory").mkdir()
    (cgroup / "memory/memory.limit_in_bytes").write_text(f"{GIB}\n")
    (cgroup / "memory/memory.usage_in_bytes").write_text(f"{GIB // 4}\n")
    (cgroup / "memory/memory.stat").write_text("total_inactive_file 100\n")
    assert room_on(torch.device("cpu")).free == GIB * 3 // 4 + 100


def test_a_limit_of_the_process_counts(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "_free_in_rlimit", lambda: [12345])
    room = room_on(torch.device("cpu"))
    assert (room.free, "ulimit" in room.limit) == (12345, True)
