"""Where a sequence came from. Imports no torch."""

from enum import IntEnum


class Source(IntEnum):
    """The source of a sequence, as `kdzoo.ScoredTokens.sources` codes it."""

    GROUND_TRUTH = 0
    IMPERFECT = 1
    STUDENT = 2
    TEACHER = 3


Kind = Source
"""`Source`, by its earlier name."""
