"""The command that an end of a run offers can be given to a shell as it stands."""

from __future__ import annotations

import shlex
from pathlib import Path

from kdzoo.runs.next_step import how_to_compare


def test_a_folder_of_any_name_is_one_argument() -> None:
    folder = Path("my runs") / "it's-1"
    words = ["kdzoo", "compare", str(folder), "--html", str(folder / "page.html")]
    assert shlex.split(how_to_compare(folder)) == words
