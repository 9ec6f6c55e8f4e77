"""Plugins of third parties."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from outside_package import install

from broken_inputs.rows import DRY, all_of, edit, row


def method(source: str) -> Callable[[Path], object]:
    """Install a method named "outside", and let the recipe use it."""

    def change(world: Path) -> None:
        install(world / "site", "theirs", {"theirs": source}, {"kdzoo": {"outside": "theirs"}})
        edit("r.toml", '"kid"\noptions = { alpha = 0.5 }', '"outside"')(world)

    return change


for name, source, told in (
    ("that raises", "raise ValueError('first line\\nsecond line')", "ValueError: first line"),
    ("that ends the program", "raise SystemExit(3)", "SystemExit: 3"),
    ("that imports nothing", "import no_such_module", "No module named 'no_such_module'"),
    ("that is no Python", "def (", "SyntaxError"),
    ("that nests without end", "def f():\n    f()\nf()", "RecursionError"),
    ("that registers nothing", "", "register_method"),
):
    row(
        f"a method {name}",
        DRY,
        "method 'outside' (package theirs) cannot be loaded",
        told,
        break_=method(source),
    )
row(
    "check of a method that raises",
    "check outside",
    "method 'outside' (package theirs) cannot be loaded",
    break_=method("1 / 0"),
    code=1,
    on="out",
)
row(
    "show of a method that raises",
    "show outside",
    "method 'outside' (package theirs) cannot be loaded",
    break_=method("1 / 0"),
)
row(
    "a dataset that raises",
    DRY,
    "dataset 'outside' (package theirs) cannot be loaded: ZeroDivisionError",
    break_=all_of(
        lambda world: install(
            world / "site", "theirs", {"theirs": "1 / 0"}, {"kdzoo.datasets": {"outside": "theirs:X"}}
        ),
        edit("r.toml", '"jsonl"', '"outside"'),
    ),
)
row(
    "a metric that raises",
    DRY,
    "metric 'outside' (package theirs) cannot be loaded: ZeroDivisionError",
    break_=all_of(
        lambda world: install(
            world / "site", "theirs", {"theirs": "1 / 0"}, {"kdzoo.metrics": {"outside": "theirs:X"}}
        ),
        edit("r.toml", "[training]", '[evaluation]\nmetrics = ["outside"]\n[training]'),
    ),
)
