"""Hashes of all that shapes a dataset's examples, and of all that shapes what a metric makes of answers."""

from __future__ import annotations

import hashlib
import json
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from kdzoo.files import digest_of
from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig
from kdzoo.tasks.metric import Settings
from kdzoo.tasks.registry import Found

_CODE = (".py", ".toml")


def fingerprint_of_data(config: DataConfig) -> str:
    """A hash of all that shapes the examples: settings, the dataset's code, and the files that are read.

    Of a table that is narrowed to one part (`Dataset.part_of`), what shapes that part.
    """
    found = registry.datasets.find_with_code(config.kind)
    inputs = found.description.shaping(config)
    content = {
        "config": config.model_dump(mode="json", exclude=set(inputs.unread)),
        "code": [_origin(found), *(digest_of(_file_of(name)) for name in found.description.code)],
        "files": [_file(file) for file in sorted(inputs.files)],
    }
    return _digest(content)


def fingerprint_of_metric(name: str, settings: Settings) -> str:
    """A hash of a metric's code and of those settings that change its scores."""
    found = registry.metrics.find_with_code(name)
    values = {setting: getattr(settings, setting) for setting in found.description.settings}
    code = [_origin(found)]
    if "sql_executor" in values:
        code.append(_origin(registry.sql_executors.find_with_code(settings.sql_executor)))
    return _digest([name, values, code])


def _origin(found: Found[Any]) -> list[Any]:
    return [found.package, found.version, _code_of(found.module)]


def _code_of(module: ModuleType) -> list[Any]:
    """Hashes of the code of the package that a module stands in, or of the module alone where that is none."""
    file = Path(module.__file__ or "")
    stands_alone = module.__spec__ is None or not module.__spec__.parent
    files = [file] if stands_alone else [path for path in file.parent.rglob("*") if path.suffix in _CODE]
    return [[str(path.relative_to(file.parent)), digest_of(path)] for path in sorted(files) if path.is_file()]


def _file_of(module: str) -> Path:
    return Path(import_module(module).__file__ or "")


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _file(path: Path) -> list[Any]:
    try:
        return [str(path), digest_of(path)]
    except (OSError, ValueError):  # no system has a path with a null character
        return [str(path), None]
