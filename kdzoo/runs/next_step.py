"""What to do with results that are there, and with those that are not there yet."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from kdzoo.runs.processes import launched


def how_to_compare(folder: Path) -> str:
    """The command that shows the models of a run or a sweep, and leaves a page of them in its folder."""
    return shlex.join(["kdzoo", "compare", str(folder), "--html", str(folder / "page.html")])


def how_to_continue(command: Sequence[str]) -> str:
    """The command that goes on where a process has stopped that was started by ``command``, as `sys.argv` has it."""
    # what --fresh has asked for is written down: given once more, it would ask for all of it again
    program, *given = command
    arguments = [part for part in given if part != "--fresh"]
    called = ["kdzoo"]
    if Path(program).name == "__main__.py":
        called = [sys.executable, "-m", "kdzoo"]
    elif Path(program).name == "kdzoo" and shutil.which("kdzoo") != program:
        called = [program]  # the shell would find another one, or none
    launcher = ", by the launcher that has started it" if launched() > 1 else ""
    return f"{shlex.join([*called, *arguments])}{launcher}"
