"""What a row of the table says, and the ways to break one thing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

DRY = "run r.toml --dry-run"
DRY_SPIDER = "run spider.toml --dry-run"
CHECK = "data check spider"
SCORE = "score --data spider/dev.json --databases spider/database --predictions predictions.sql --json scores.json"
AT = "r.toml:9: student.path: "
DATABASE = "spider/database/shop/shop.sqlite"


@dataclass(frozen=True)
class Row:
    """One thing that is broken: how, what is then called, and what that tells on one line, of standard error unless ``on``
    says "out".

    ``ran``: the recipe has been run before, and its run is in ``runs/r``.
    """

    name: str
    call: str
    told: tuple[str, ...]
    break_: Callable[[Path], object] = field(default=lambda world: None)
    code: int | None = 2
    on: str = "err"
    ran: bool = False


ROWS: list[Row] = []


def row(
    name: str,
    call: str,
    *told: str,
    break_: Callable[[Path], object] = lambda world: None,
    code: int | None = 2,
    on: str = "err",
    ran: bool = False,
) -> None:
    ROWS.append(Row(name, call, told, break_, code, on, ran))


def write(name: str, content: str | bytes) -> Callable[[Path], object]:
    raw = content.encode() if isinstance(content, str) else content
    return lambda world: ((world / name).parent.mkdir(exist_ok=True), (world / name).write_bytes(raw))


def edit(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(world: Path) -> None:
        text = (world / name).read_text()
        assert old in text
        (world / name).write_text(text.replace(old, new, 1))

    return change


def cut(name: str, share: float = 0.5) -> Callable[[Path], object]:
    return lambda world: os.truncate(world / name, int((world / name).stat().st_size * share))


def remove(*names: str) -> Callable[[Path], object]:
    def change(world: Path) -> None:
        for name in names:
            for path in world.glob(name):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def set_json(name: str, **keys: Any) -> Callable[[Path], object]:
    def change(world: Path) -> None:
        content = json.loads((world / name).read_text())
        (world / name).write_text(json.dumps({**content, **keys}))

    return change


def all_of(*changes: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda world: [change(world) for change in changes]


def with_key(key: str) -> Callable[[Path], object]:
    """Put a key before the recipe's tables."""
    return edit("r.toml", 'name = "r"', f'name = "r"\n{key}')


def as_pickle(file: str, name: str) -> Callable[[Path], object]:
    def change(world: Path) -> None:
        torch.save(load_file(world / file), (world / file).with_name(name))
        (world / file).unlink()

    return change


ON_ADAPTER = edit("r.toml", '"student"', '"adapter"')
