"""Choosing few databases that together tell as many mutants from their queries as all do."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Set
from typing import TypeVar

_Name = TypeVar("_Name", bound=Hashable)


def distil(caught: Mapping[_Name, Set[int]], most: int) -> list[_Name]:
    """Choose greedily: always what catches most that is not caught yet, at most ``most``, none that adds
    nothing.

    Among equals the first is chosen.
    """
    chosen: list[_Name] = []
    missing = set().union(*caught.values()) if caught else set()
    while missing and len(chosen) < most:
        best = max(caught, key=lambda name: len(caught[name] & missing))
        if not caught[best] & missing:
            break
        chosen.append(best)
        missing -= caught[best]
    return chosen
