"""Broken inputs of every kind: each ends in one clear message and exit code 1 or 2, and leaves nothing half written.

A row breaks one thing in a small world that is right, and says what the command must tell of it: pieces of one line.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from broken_inputs import ROWS, Row
from broken_inputs.rows import CHECK, DRY, DRY_SPIDER, ON_ADAPTER, SCORE
from broken_inputs.world import make_world
from outside_package import forget


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything as it should be."""
    world = tmp_path_factory.mktemp("whole")
    make_world(world)
    return world


@pytest.fixture(scope="session")
def ran(whole: Path, kdzoo: Callable[..., Any]) -> Path:
    """The world after its recipe was run: a copy, for the place where that was, as a run knows its data by their paths."""
    world = whole.with_name("ran")
    shutil.copytree(whole, world)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(world)
        assert kdzoo("run", "r.toml").code == 0
        run = next(Path("runs").glob("r-*"))
        Path("runs/r").symlink_to(run.name)
    return world.rename(world.with_name("template"))


@pytest.fixture
def world(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Path]:
    """A copy of the world, which is the working directory."""
    row = request.node.callspec.params["row"] if hasattr(request.node, "callspec") else None
    if row is not None and row.ran:
        world = whole.with_name("ran")
        shutil.copytree(request.getfixturevalue("ran"), world, symlinks=True)
    else:
        world = tmp_path / "world"
        shutil.copytree(whole, world)
    monkeypatch.chdir(world)
    monkeypatch.syspath_prepend(world / "site")
    yield world
    if any((world / "site").iterdir()):
        forget(world / "site")
    shutil.rmtree(world)


def files_of(folder: Path) -> dict[str, bytes]:
    """What every file holds, but for the data's cache."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if not name.startswith("runs/.cache/") and "__pycache__" not in path.parts
    }


def test_the_world_is_right_as_long_as_nothing_is_broken(world: Path, kdzoo: Callable[..., Any]) -> None:
    for call in (DRY, DRY_SPIDER, CHECK, SCORE, "data check train.jsonl --tokenizer teacher"):
        done = kdzoo(*call.split())
        assert (done.code, done.err) == (0, ""), call
    ON_ADAPTER(world)
    done = kdzoo(*DRY.split())
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_one_message_and_nothing_half_written(row: Row, world: Path, kdzoo: Callable[..., Any]) -> None:
    if row.name.startswith("GGUF"):
        pytest.importorskip("gguf", reason="without the package no GGUF file is opened")
    row.break_(world)
    before = files_of(world)
    done = kdzoo(*row.call.split())
    assert done.code in ((1, 2) if row.code is None else (row.code,)), done
    told = (done.err if row.on == "err" else done.out).splitlines()
    assert any(all(piece in line for piece in row.told) for line in told), done
    if row.on == "err":
        assert len([line for line in told if not line.startswith(("Usage: ", "Try "))]) in (1, 2), done
        assert told[0].startswith(("kdzoo: ", "Usage: ")), done
    assert "Traceback" not in done.out + done.err
    assert files_of(world) == before
