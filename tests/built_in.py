"""The names of the methods that kdzoo itself registers, in order, as pyproject.toml has them."""

import tomllib
from pathlib import Path

_PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
METHODS: list[str] = sorted(_PROJECT["entry-points"]["kdzoo"])
