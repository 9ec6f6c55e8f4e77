"""What packages bring under a group of entry points, the built-in things among it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from kdzoo.errors import UserError
from kdzoo.spelling import hint

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Broken:
    """An entry point that could not be used, and why."""

    name: str
    package: str
    reason: str


def entries_of(group: str) -> list[EntryPoint]:
    """The entry points of a group by name; those of one name are in the order of what they stand for."""
    return sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value))


def package_of(entry: EntryPoint) -> tuple[str, str]:
    """The package that brought an entry point, and its version."""
    return (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "unknown")


def load(entry: EntryPoint, read: Callable[[EntryPoint], Loaded]) -> Loaded | Broken:
    """Read what an entry point stands for, or say why that fails."""
    try:
        return read(entry)
    except (Exception, SystemExit) as error:  # a third party's module may raise anything
        return Broken(entry.name, package_of(entry)[0], f"{type(error).__name__}: {error}")


def check_name(entry: EntryPoint, what: str, name: str) -> None:
    """Let an entry point and what it stands for have one name.

    Raises:
        ValueError: their names differ.
    """
    if name != entry.name:
        raise ValueError(f"the entry point is named {entry.name!r}, its {what} {name!r}; they must agree")


def why_not_found(what: str, name: str, known: Iterable[str], broken: Iterable[Broken]) -> UserError:
    """The error for a name under which nothing can be used: what there is is broken, or there is none.

    ``what`` is what the group holds, such as "method"; ``known`` are the names that there are.
    """
    for one in broken:
        if one.name == name:
            return UserError(f"{what} {name!r} (package {one.package}) cannot be loaded: {one.reason}")
    return UserError(f"no {what} {name!r} is installed{hint(name, sorted(known))}")
