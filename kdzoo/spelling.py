"""What a misspelt name was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like the given one, or None if none is like it."""
    names = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    return names[close[0]] if close else None


def hint(name: str, known: Iterable[str]) -> str:
    """The end of a message on an unknown name: the nearest known one, or all there are."""
    names = list(dict.fromkeys(known))
    close = nearest(name, names)
    if close is not None:
        return f'; did you mean "{close}"?'
    return f"; there are: {', '.join(names)}" if names else ""
