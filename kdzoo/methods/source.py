"""Where a training sequence came from. Imports no torch."""

from enum import IntEnum


class Kind(IntEnum):
    """The origin of a sequence, as `kdzoo.ScoredTokens.kinds` codes it."""

    GROUND_TRUTH = 0
    IMPERFECT = 1
    STUDENT = 2
    TEACHER = 3
