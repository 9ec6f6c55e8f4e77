"""What to do with results that are there."""

from __future__ import annotations

import shlex
from pathlib import Path


def how_to_compare(folder: Path) -> str:
    """The command that shows the models of a run or a sweep, and leaves a page of them in its folder."""
    return shlex.join(["kdzoo", "compare", str(folder), "--html", str(folder / "page.html")])
