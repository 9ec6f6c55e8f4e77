"""What a dataset says of itself, and the [data] table that chooses it. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from kdzoo.tasks.asking import Asking
from kdzoo.tasks.example import Splits

OnError = Literal["raise", "skip"]
# What of a dataset is read: the examples to train on, or those to evaluate on.
Part = Literal["train", "evaluation"]


class DataConfig(BaseModel):
    """The base of every dataset's [data] table: frozen, and an unknown key is an error.

    ``kind`` is the dataset's name. Its own keys are a dataset's fields; each has a default, or a recipe must give it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str


Config = TypeVar("Config", bound=DataConfig)


@dataclass(frozen=True)
class Inputs:
    """What examples are made from: files, whose size and time count, and all settings but those ``unread``."""

    files: Iterable[Path]
    unread: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Dataset(Generic[Config]):
    """One dataset, found by its name in the entry-point group ``kdzoo.datasets``.

    ``load`` takes the [data] table and a folder that what is made may be kept in. The same table gives the same
    examples: random choices come from a ``seed`` of its own.
    ``part`` gives the table without what only the other part needs, so that the one can be read, and found again,
    without the other's files; None where the table has nothing of that part. Unless given, both are always read.
    ``folder_keys`` and ``file_keys`` are the keys of the table that name what must be there, one path or several;
    ``files_inside`` gives the files in those folders that must be there too, each with the key that names it.
    ``hub_keys`` are those that name a hub dataset, or a folder or file.
    ``metrics`` are all that fit, by name, and ``default_metrics`` those that count unless a recipe names others.
    ``inputs`` says what shapes the examples; unless given, all files that the table names or that lie in a folder that
    it names, and all settings.
    ``code`` are modules whose code shapes the examples, beside the package that the dataset stands in.
    ``extract`` gives what of an answer is judged, where that stands among other words, as in a chat.
    ``asking`` takes what ``load`` takes, and makes prompts of questions on databases that a user chooses, for `kdzoo chat`;
    without it a prompt is what the user says.
    ``little`` are the largest values that keys have in a rehearsal; of a list, so many of its entries are left.
    """

    name: str
    summary: str
    config: type[Config]
    load: Callable[[Config, Path], Splits]
    metrics: tuple[str, ...]
    default_metrics: tuple[str, ...] = ()
    folder_keys: tuple[str, ...] = ()
    file_keys: tuple[str, ...] = ()
    hub_keys: tuple[str, ...] = ()
    part: Callable[[Config, Part], Config | None] | None = None
    files_inside: Callable[[Config], Iterable[tuple[str, Path]]] | None = None
    inputs: Callable[[Config], Inputs] | None = None
    code: tuple[str, ...] = ()
    extract: Callable[[str], str] | None = None
    asking: Callable[[Config, Path], Asking] | None = None
    little: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what a recipe relies on.

        Raises:
            TypeError: the [data] table is no DataConfig.
            ValueError: a default metric is not among those that fit, there is none, or a key is none of the table's.
        """
        if not (isinstance(self.config, type) and issubclass(self.config, DataConfig)):
            raise TypeError(f"dataset {self.name!r}: config must derive from DataConfig, not {self.config!r}")
        if not self.metrics or not set(self.default_metrics) <= set(self.metrics):
            raise ValueError(
                f"dataset {self.name!r}: metrics must name one at least, and all default_metrics"
            )
        named = (*self.path_keys, *self.little)
        unknown = [key for key in named if key not in self.config.model_fields]
        if unknown:
            raise ValueError(f"dataset {self.name!r}: its table has no key {unknown[0]!r}")

    @property
    def path_keys(self) -> tuple[str, ...]:
        """The keys that hold a path, or may hold one."""
        return (*self.folder_keys, *self.file_keys, *self.hub_keys)

    @property
    def usual_metrics(self) -> tuple[str, ...]:
        """The metrics of a recipe that names none: the default ones, else the first that fits."""
        return self.default_metrics or self.metrics[:1]

    def part_of(self, config: Config, part: Part) -> Config | None:
        """The table without what only the other part needs; None where it has nothing of this one."""
        return config if self.part is None else self.part(config, part)

    def missing(self, config: Config) -> Iterator[tuple[str, str]]:
        """The keys and paths of what the table names and is not there, or is no folder or file."""
        found = [
            (key, path)
            for keys, is_there in (
                (self.folder_keys, os.path.isdir),
                (self.file_keys, os.path.isfile),
                (self.hub_keys, _may_be_there),
            )
            for key in keys
            for path in _paths(getattr(config, key))
            if not is_there(path)
        ]
        if not found and self.files_inside is not None:
            found = [(key, str(file)) for key, file in self.files_inside(config) if not file.is_file()]
        yield from found

    def shaping(self, config: Config) -> Inputs:
        """What shapes the examples."""
        return Inputs(self._named_files(config)) if self.inputs is None else self.inputs(config)

    def _named_files(self, config: Config) -> Iterator[Path]:
        for key in self.path_keys:
            for named in _paths(getattr(config, key)):
                path = Path(named).expanduser()
                yield from (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _may_be_there(path: str) -> bool:
    """Whether there is a folder or file, or it may be a hub name: a path in a recipe is a whole one once it is read."""
    return os.path.exists(path) or not os.path.isabs(path)


def _paths(value: Any) -> list[str]:
    """The paths that a key names: none, one, or several."""
    if value is None:
        return []
    return [str(path) for path in value] if isinstance(value, list | tuple) else [str(value)]
