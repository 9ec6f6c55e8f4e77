"""Lengths in a model's configuration at which its computation may change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from transformers import PretrainedConfig

# What families call a window, a chunk or block of attention, the context that positions were made for, ...
_LENGTH = re.compile(r"window|chunk|block|local|position|context|length|seq|topk|top_k")


def lengths_named_in(config: PretrainedConfig) -> set[int]:
    """The numbers whose names say that they are a number of tokens."""
    return {number for name, number in _numbers(config.to_dict()) if _LENGTH.search(name)}


def numbers_in(config: PretrainedConfig) -> set[int]:
    """All whole numbers, whatever they are."""
    return {number for _, number in _numbers(config.to_dict())}


def _numbers(settings: Any, name: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            yield from _numbers(value, str(key))
    elif isinstance(settings, (list, tuple)):
        for value in settings:
            yield from _numbers(value, name)
    elif isinstance(settings, int) and not isinstance(settings, bool):
        yield name, settings
