"""Dividing what several processes do together. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

_Item = TypeVar("_Item")


def share_of(items: Sequence[_Item], process: int, processes: int) -> list[_Item]:
    """The neighbours that a process has of a sequence: as many as any other, or one more."""
    each, more = divmod(len(items), processes)
    start = process * each + min(process, more)
    return list(items[start : start + each + (process < more)])
