"""Noticing which of a method's options are used: one that nobody reads changes nothing, whatever a recipe says."""

from __future__ import annotations

from typing import Any, TypeVar

from kdzoo.methods.method import Options

AnyOptions = TypeVar("AnyOptions", bound=Options)


def watched(options: AnyOptions) -> tuple[AnyOptions, set[str]]:
    """The same options, and a set that the names of those that are read are added to as it happens.

    Who takes all of them at once (``model_dump``, ``dict``) reads all of them.
    """
    model = type(options)
    fields = set(model.model_fields)
    read: set[str] = set()

    class Watched(model):  # type: ignore[valid-type, misc]
        def __getattribute__(self, name: str) -> Any:
            if name in fields:
                read.add(name)
            elif name in ("__dict__", "model_dump", "model_dump_json"):
                read.update(fields)
            return super().__getattribute__(name)

    Watched.__name__, Watched.__qualname__ = model.__name__, model.__qualname__
    copy = options.model_copy()
    object.__setattr__(copy, "__class__", Watched)
    read.clear()
    return copy, read
