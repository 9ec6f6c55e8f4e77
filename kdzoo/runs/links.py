"""A run writes below its folder of runs and nowhere else, not through a link either."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kdzoo.errors import RunError


def check_links(folder: Path, out: Path) -> None:
    """Make sure that nothing in a folder, nor the folder itself, is a link that leads out of the folder of runs ``out``.

    Links from one run to another's stage stay within it. ``out`` itself may be a link.

    Raises:
        RunError: there is such a link.
    """
    whole = out.resolve()
    for link in _links(folder):
        target = Path(os.path.realpath(link))  # a circle of links has one too
        if not target.is_relative_to(whole):
            raise RunError(
                f"{link} is a link to {target}, and a run writes only below {out}; remove the link, or give --out the "
                "folder that it leads to"
            )


def _links(folder: Path) -> Iterator[Path]:
    if folder.is_symlink():
        yield folder
        return
    for inner, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(inner, name)
            if path.is_symlink():
                yield path
