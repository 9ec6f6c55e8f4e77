"""The installed datasets, metrics and ways to run SQL, found by name. Only what is chosen is imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

from kdzoo.errors import UserError
from kdzoo.methods.entry_points import Broken, check_name, entries_of, load, package_of, why_not_found
from kdzoo.tasks.dataset import Dataset
from kdzoo.tasks.metric import Metric
from kdzoo.tasks.sql.executor import SqlExecutor

Description = TypeVar("Description")


@dataclass(frozen=True)
class Found(Generic[Description]):
    """A description, the module that holds it, and the package that brought it."""

    description: Description
    module: ModuleType
    package: str
    version: str


@dataclass(frozen=True)
class Registry(Generic[Description]):
    """The entry points of one group. ``what`` is how one of them is called, ``type`` what each must give."""

    group: str
    what: str
    type: type[Any]

    def names(self) -> list[str]:
        """All names in order, those of broken ones too.

        Raises:
            UserError: there is none at all, not even kdzoo's own.
        """
        names = list(dict.fromkeys(entry.name for entry in _entries(self.group)))
        if not names:
            raise UserError(
                f"no {self.what} is installed (entry points {self.group}); install kdzoo again, whose metadata are older "
                "than its code"
            )
        return names

    def find(self, name: str) -> Description:
        """Give the description of that name.

        Raises:
            UserError: there is none of that name, or it cannot be loaded.
        """
        return self.find_with_code(name).description

    def find_with_code(self, name: str) -> Found[Description]:
        """The same, with the module and the package that it comes from."""
        broken = []
        for entry in _entries(self.group):
            if entry.name == name:
                found = _loaded(self, entry)
                if not isinstance(found, Broken):
                    return cast("Found[Description]", found)
                broken.append(found)
        raise why_not_found(self.what, name, self.names(), broken)

    def working(self) -> Iterator[Description]:
        """All that can be loaded, by name."""
        for entry in _entries(self.group):
            found = _loaded(self, entry)
            if not isinstance(found, Broken):
                yield cast("Found[Description]", found).description


def forget() -> None:
    """Look for packages anew: some have come or gone."""
    _entries.cache_clear()
    _loaded.cache_clear()


@cache
def _entries(group: str) -> tuple[EntryPoint, ...]:
    return tuple(entries_of(group))


@cache
def _loaded(registry: Registry[Any], entry: EntryPoint) -> Found[Any] | Broken:
    def read(entry: EntryPoint) -> Found[Any]:
        description = entry.load()
        if not isinstance(description, registry.type):
            raise TypeError(f"{entry.value} must be a {registry.type.__name__}, not {description!r}")
        check_name(entry, registry.what, description.name)
        return Found(description, sys.modules[entry.module], *package_of(entry))

    return load(entry, read)


datasets: Registry[Dataset[Any]] = Registry("kdzoo.datasets", "dataset", Dataset)
metrics: Registry[Metric] = Registry("kdzoo.metrics", "metric", Metric)
sql_executors: Registry[SqlExecutor] = Registry("kdzoo.sql_executors", "SQL executor", SqlExecutor)


def fits(metric: str, dataset: Dataset[Any]) -> bool:
    """Whether a metric fits a dataset: one of them says so.

    Raises:
        UserError: there is no metric of that name, or it cannot be loaded.
    """
    return metric in dataset.metrics or dataset.name in metrics.find(metric).datasets


def fitting(dataset: Dataset[Any]) -> list[str]:
    """The names of all metrics that fit a dataset: its own, and those of others."""
    others = (metric.name for metric in metrics.working() if dataset.name in metric.datasets)
    return list(dict.fromkeys((*dataset.metrics, *others)))
