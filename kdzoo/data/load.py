"""From a recipe's [data] to examples."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from kdzoo.data.config import DataConfig
from kdzoo.data.example import Splits


def load(config: DataConfig, *, cache: Path) -> Splits:
    """Read or make the examples; what is made is kept below ``cache``.

    Raises:
        UserError: a file is missing or not as it should be; the message names file and entry.
    """
    if config.kind == "embedded":
        from kdzoo.data.embedded.build import build

        return build(config, cache)
    if config.kind == "spider":
        from kdzoo.data.spider import load_spider

        return load_spider(config, cache)
    if config.kind == "bird":
        from kdzoo.data.bird import load_bird

        return load_bird(config, cache)
    from kdzoo.data.jsonl import load_jsonl

    return load_jsonl(config)


def fingerprint(config: DataConfig) -> str:
    """A hash of everything that shapes the examples: the settings, and size and time of the files that they name."""
    content: dict[str, Any] = {"config": config.model_dump(mode="json")}
    if config.kind == "embedded":
        from kdzoo.data import embedded

        folder = Path(embedded.__file__).parent
        content["code"] = [hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(folder.glob("*.py"))]
    elif config.kind == "jsonl":
        content["files"] = [_file(Path(config.train)), _file(Path(config.evaluation))]
    else:
        folder = Path(config.path)
        content["files"] = [_file(f) for f in sorted(folder.glob("*.json"))]
        content["files"] += [_file(f) for f in sorted(folder.glob("*/*.json"))]
        content["files"] += [_file(f) for f in sorted(folder.glob("**/*.sqlite"))]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _file(path: Path) -> list[Any]:
    try:
        status = path.stat()
    except OSError:
        return [str(path), None]
    return [str(path), status.st_size, status.st_mtime_ns]
