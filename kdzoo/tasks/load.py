"""From a recipe's [data] to examples."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from kdzoo.errors import UserError
from kdzoo.tasks.config import BirdData, DataConfig, EmbeddedData, JsonlData, SpiderData
from kdzoo.tasks.example import Splits

# What shapes the examples of a dataset on disk, beside its files.
_SHAPING_FILES = ("*.json", "*.sqlite", "*.csv")


def load(config: DataConfig, *, cache: Path) -> Splits:
    """Read or make the examples; what is made is kept below ``cache``.

    The same settings give the same examples: a dataset's random choices come from its own ``seed``.

    Raises:
        UserError: a file is missing or not as it should be; the message names file and entry.
    """
    if config.kind == "embedded":
        from kdzoo.tasks.text_to_sql.embedded.build import build

        return build(config, cache)
    if config.kind == "spider":
        from kdzoo.tasks.text_to_sql.spider import load_spider

        return load_spider(config, cache)
    if config.kind == "bird":
        from kdzoo.tasks.text_to_sql.bird import load_bird

        return load_bird(config, cache)
    from kdzoo.tasks.text.jsonl import load_jsonl

    return load_jsonl(config)


def fingerprint(config: DataConfig) -> str:
    """A hash of all that shapes the examples: settings, our code, and size and time of the files read."""
    content: dict[str, Any] = {"config": config.model_dump(mode="json"), "code": _code(config)}
    if isinstance(config, JsonlData):
        content["files"] = [_file(Path(name).expanduser()) for name in (config.train, config.evaluation)]
    elif not isinstance(config, EmbeddedData):
        folder = Path(config.path).expanduser()
        content["files"] = [_file(file) for pattern in _SHAPING_FILES for file in _found(folder, pattern)]
    return _digest(content)


def training_fingerprint(config: DataConfig) -> str:
    """A hash of all that shapes the training examples: like `fingerprint`, without what only evaluation reads."""
    if isinstance(config, EmbeddedData):
        return fingerprint(config)  # how many test questions there are decides which are left to train on
    unread = {"evaluation", "max_evaluation"}
    if isinstance(config, JsonlData):
        files = [Path(config.train).expanduser()]
    elif isinstance(config, BirdData):
        folder = Path(config.path).expanduser()
        files = [folder / name for name in config.train]
        for beside in sorted({file.parent for file in files}):
            files += [*beside.glob("*tables*.json"), *_databases(beside), *_found(beside, "*.csv")]
    else:
        folder = Path(config.path).expanduser()
        unread |= {"held_out"} if config.split == "official" else set()
        files = [*_spider_files(config, folder), *folder.glob("*tables.json"), *_databases(folder)]
    content = {
        "config": config.model_dump(mode="json", exclude=unread),
        "code": _code(config),
        "files": [_file(file) for file in sorted(files)],
    }
    return _digest(content)


def _spider_files(config: SpiderData, folder: Path) -> list[Path]:
    from kdzoo.tasks.text_to_sql.spider import train_files

    try:
        return [folder / name for name in train_files(config)]
    except UserError:
        return []  # who reads the data reports it


def _databases(folder: Path) -> list[Path]:
    """The databases that prompts are made from, without what a test suite puts beside them."""
    return [file for file in _found(folder, "*.sqlite") if file.stem == file.parent.name]


def _found(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.rglob(pattern))


def _code(config: DataConfig) -> list[str]:
    """Hashes of the room that the dataset's code stands in."""
    room = Path(__file__).parent / ("text" if isinstance(config, JsonlData) else "text_to_sql")
    files = sorted(file for file in room.rglob("*") if file.suffix in (".py", ".toml"))
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _file(path: Path) -> list[Any]:
    try:
        status = path.stat()
    except OSError:
        return [str(path), None]
    return [str(path), status.st_size, status.st_mtime_ns]
