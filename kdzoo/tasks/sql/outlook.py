"""What judging a file will still take when every statement has had its first try."""

from __future__ import annotations

from dataclasses import dataclass

# Less than this is not worth a word.
_SHORT_SECONDS = 60.0


@dataclass(frozen=True)
class Outlook:
    """``slow`` of ``count`` predictions need more than a first try; each may take ``seconds``.

    Together these are ``most_seconds`` of CPU time, in ``workers`` processes.
    """

    slow: int
    count: int
    first_seconds: float
    seconds: float
    most_seconds: float
    workers: int

    @property
    def is_long(self) -> bool:
        """Whether somebody who waits should be told."""
        return self.most_seconds > _SHORT_SECONDS

    def __str__(self) -> str:
        return (
            f"{self.slow} of {self.count} predictions did not end in a first try of at most "
            f"{self.first_seconds:g} s of CPU time. Each may take {self.seconds:g} s on each database, whatever "
            "else is judged, so that no verdict depends on another or on the machine's load: "
            f"{_duration(self.most_seconds)} of CPU time at most, in {self.workers} "
            f"process{'es' if self.workers > 1 else ''}."
        )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (0 if hours else rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"
