"""From a recipe's [data] to examples."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from kdzoo.data.config import DataConfig, EmbeddedData, JsonlData
from kdzoo.data.example import Splits

# What shapes the examples of a dataset on disk, beside its files.
_SHAPING_FILES = ("*.json", "*.sqlite", "*.csv")
_SHAPING_EMBEDDED = ("prompt.py", "schema.py", "embedded/*.py")


def load(config: DataConfig, *, cache: Path) -> Splits:
    """Read or make the examples; what is made is kept below ``cache``.

    The same settings give the same examples: a dataset's random choices come from its own ``seed``.

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
    """A hash of all that shapes the examples: settings, our code, and size and time of the files read."""
    here = Path(__file__).parent
    content: dict[str, Any] = {"config": config.model_dump(mode="json")}
    if isinstance(config, EmbeddedData):
        code = [file for pattern in _SHAPING_EMBEDDED for file in sorted(here.glob(pattern))]
    elif isinstance(config, JsonlData):
        code = [here / "jsonl.py"]
        content["files"] = [_file(Path(name).expanduser()) for name in (config.train, config.evaluation)]
    else:
        code = sorted(here.glob("*.py"))
        folder = Path(config.path).expanduser()
        content["files"] = [
            _file(file) for pattern in _SHAPING_FILES for file in sorted(folder.rglob(pattern))
        ]
    content["code"] = [hashlib.sha256(file.read_bytes()).hexdigest() for file in code]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _file(path: Path) -> list[Any]:
    try:
        status = path.stat()
    except OSError:
        return [str(path), None]
    return [str(path), status.st_size, status.st_mtime_ns]
