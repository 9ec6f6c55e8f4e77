"""How sure one can be of a score."""

from __future__ import annotations

import math

_Z95 = 1.959963984540054


def wilson_interval(right: int, count: int, z: float = _Z95) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927), by default at 95%; (0, 1) of nothing."""
    if count == 0:
        return 0.0, 1.0
    share = right / count
    scale = 1 + z * z / count
    middle = (share + z * z / (2 * count)) / scale
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / scale
    # exact at the ends, where rounding would miss them
    low = 0.0 if right == 0 else max(0.0, middle - half)
    high = 1.0 if right == count else min(1.0, middle + half)
    return low, high
