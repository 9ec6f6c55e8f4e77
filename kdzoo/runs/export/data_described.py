"""What a card says of data: the kind, a hub name where there is one, and of what is local the last name alone."""

from __future__ import annotations

import os
from collections.abc import Iterator

from kdzoo.runs.export.shared_recipe import local_name
from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig


def hub_name(data: DataConfig) -> str | None:
    """The hub name of a dataset; None for local data."""
    named = (getattr(data, key) for key in registry.datasets.find(data.kind).hub_keys)
    return next((name for name in named if isinstance(name, str) and not os.path.isabs(name)), None)


def in_words(data: DataConfig) -> str:
    """A dataset by its kind, what that is, and what it was read from."""
    summary = registry.datasets.find(data.kind).summary.rstrip(".")
    names = list(dict.fromkeys(_names(data)))
    read = f", read from {', '.join(f'`{name}`' for name in names)}" if names else ""
    return f"`{data.kind}` ({summary}){read}"


def _names(data: DataConfig) -> Iterator[str]:
    for key in registry.datasets.find(data.kind).path_keys:
        value = getattr(data, key)
        for path in value if isinstance(value, list | tuple) else [value]:
            if isinstance(path, str):
                yield local_name(path) if os.path.isabs(path) else path
