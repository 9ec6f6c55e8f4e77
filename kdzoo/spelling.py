"""What a misspelt name was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# More names than these are not read: an architecture's settings, all architectures.
_MANY = 30


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like the given one, or None if none is like it."""
    names = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    return names[close[0]] if close else None


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The end of a message that names all known names: which of them was meant, if any is like the given one."""
    close = nearest(name, known) if isinstance(name, str) else None
    return "" if close is None else f'; did you mean "{close}"?'


def hint(name: str, known: Iterable[str]) -> str:
    """The end of a message on an unknown name: the nearest known one, or all there are, unless they are many."""
    names = list(dict.fromkeys(known))
    listed = f"; there are: {', '.join(names)}" if 0 < len(names) <= _MANY else ""
    return did_you_mean(name, names) or listed
