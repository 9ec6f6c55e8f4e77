"""Text that nobody vouches for, as a terminal may be given it."""

from __future__ import annotations

import re

# Control characters but tab and line end, what turns the direction of writing, other line ends, and half characters.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with an escape such as ``\\x1b`` for each character that would do something to a terminal.

    Tabs and line ends stay.
    """
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def printable_line(text: str) -> str:
    """The same on one line: tabs and line ends are escaped too."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")
