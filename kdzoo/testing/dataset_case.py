"""A dataset under check, with one [data] table."""

from __future__ import annotations

import sys
import zoneinfo
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig, Dataset, Part
from kdzoo.tasks.example import Example, Splits
from kdzoo.testing.opened_files import files_read

_CODE = (".py", ".pyc", ".so", ".toml")


@dataclass(frozen=True)
class DatasetCase:
    """The dataset under check with one table. ``folder`` is an empty one, for what is kept."""

    dataset: Dataset[Any]
    config: DataConfig
    folder: Path

    @property
    def name(self) -> str:
        return self.dataset.name

    @property
    def cache(self) -> Path:
        """Where the first loading keeps what it makes."""
        return self.made_folder("first")

    @property
    def is_installed(self) -> bool:
        """Whether it is this dataset that a recipe finds by its name."""
        return self.name in registry.datasets.names() and registry.datasets.find(self.name) is self.dataset

    @cached_property
    def loaded(self) -> tuple[Any, set[Path]]:
        """What the first loading gives, and the files that it reads."""
        with files_read() as read:
            splits = self.load(self.config, self.cache)
        return splits, read

    @property
    def splits(self) -> Splits:
        """What the first loading gives, once it is known to be Splits."""
        return self.loaded[0]  # type: ignore[no-any-return]

    @property
    def parts(self) -> list[tuple[Part, list[Example]]]:
        """The two lists of examples, each with its name."""
        return [("train", self.splits.train), ("evaluation", self.splits.evaluation)]

    @property
    def data_files_read(self) -> set[Path]:
        """The files that the first loading reads, without code, and without what it keeps or makes on the way."""
        code = [Path(sys.prefix), Path(sys.base_prefix), Path("/proc"), Path("/sys"), Path("/dev")]
        code += map(Path, zoneinfo.TZPATH)  # libraries read them when they are imported
        home = getattr(sys.modules.get(getattr(self.dataset.load, "__module__", "")), "__file__", None)
        package = None if home is None else Path(home).parent
        found = (path.resolve() for path in self.loaded[1] if path.is_file())
        return {
            path
            for path in found
            if not path.is_relative_to(self.folder.resolve())
            and not any(path.is_relative_to(place) for place in code)
            and path.suffix not in _CODE[:3]
            and not (package is not None and path.suffix in _CODE and path.is_relative_to(package.resolve()))
        }

    def load(self, config: DataConfig, cache: Path) -> Any:
        """Call ``load`` as the core does; what it gives is not looked at."""
        return self.dataset.load(config, cache)

    def made_folder(self, name: str) -> Path:
        """A folder of that name for what is made."""
        made = self.folder / name
        made.mkdir(exist_ok=True)
        return made
