"""Where a recipe was written: files, lines, and what counts instead of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kdzoo.recipe.lines import Key, Line


@dataclass(frozen=True)
class Override:
    """A value that counts instead of the recipe's own, as KEY=VALUE.

    ``shown`` is how a message names it, and ``line`` where it stands, unless on the command line. What it says of paths
    is relative to ``folder``.
    """

    text: str
    shown: str
    folder: Path
    line: Line | None = None

    @classmethod
    def of_command_line(cls, text: str) -> Override:
        """An override that ``--set`` gave."""
        return cls(text, f"--set {text}", Path.cwd())


@dataclass(frozen=True)
class Origin:
    """Where a recipe was written: lines by key, and overrides by the key that they set, the latest last.

    ``rehearses`` is the text of the recipe that it was before it was shrunk for a rehearsal.
    All origins are equal: recipes that say the same are the same.
    """

    file: Path | None = field(default=None, compare=False)
    lines: Mapping[Key, Line] = field(default_factory=dict, compare=False)
    overrides: dict[Key, Override] = field(default_factory=dict, compare=False)
    rehearses: str | None = field(default=None, compare=False)
