"""Entries of a dataset's files that are not as they should be."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from kdzoo.errors import UserError
from kdzoo.tasks.dataset import OnError


@dataclass
class WrongEntries:
    """What to do with an entry that is not as it should be, and what was found wrong so far."""

    on_error: OnError
    counts: Counter[str] = field(default_factory=Counter)

    def note(self, where: str, what: str, reason: str) -> None:
        """Raise for the problem, or count it under its reason.

        Raises:
            UserError: unless problems are to be skipped.
        """
        if self.on_error == "raise":
            raise UserError(f'{where}: {what} (on_error = "skip" leaves such entries out)')
        self.counts[reason] += 1

    @property
    def report(self) -> dict[str, int]:
        """How many entries were left out, by reason."""
        return {f"entries left out: {reason}": count for reason, count in sorted(self.counts.items())}


def is_unicode(text: str) -> bool:
    """Whether a text can be written to a file: JSON may hold halves of characters (lone surrogates)."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
