"""A dataset's examples in a few characters, to compare what two loadings give. Run as a program it loads and prints them.

As a program it takes a dataset's name, its table as JSON, and a folder that what is made may be kept in.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from kdzoo.tasks import registry
from kdzoo.tasks.example import Example, Splits


def digest_of_splits(splits: Splits, cache: Path) -> str:
    """A hash of all that the examples say, in their order; files below ``cache`` count by their place there."""
    content = [
        splits.sql_rule,
        *([_told(example, cache) for example in part] for part in (splits.train, splits.evaluation)),
    ]
    return hashlib.sha256(repr(content).encode("utf-8", errors="surrogatepass")).hexdigest()


def difference(ours: Splits, our_cache: Path, theirs: Splits, their_cache: Path) -> str | None:
    """The first difference between two loadings, in words; None if there is none."""
    for part in ("train", "evaluation"):
        first, second = getattr(ours, part), getattr(theirs, part)
        if len(first) != len(second):
            return f"{len(first)} and {len(second)} examples of {part}"
        for number, (one, other) in enumerate(zip(first, second, strict=True)):
            told, again = dict(_told(one, our_cache)), dict(_told(other, their_cache))
            names = [name for name in told if told[name] != again[name]]
            if names:
                name = names[0]
                return f"{part}[{number}].{name} is {told[name]!r:.80} and {again[name]!r:.80}"
    return None


def _told(example: Example, cache: Path) -> list[tuple[str, Any]]:
    told = []
    for field in fields(example):
        value = getattr(example, field.name)
        if field.name == "shorten":
            value = value is not None
        elif isinstance(value, Path):
            value = str(value.relative_to(cache)) if value.is_relative_to(cache) else str(value)
        told.append((field.name, value))
    return told


def _main(name: str, table: str, cache: str) -> None:
    dataset = registry.datasets.find(name)
    splits = dataset.load(dataset.config.model_validate_json(table), Path(cache))
    print(digest_of_splits(splits, Path(cache)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
