"""kdzoo: a plugin-based zoo of knowledge-distillation methods. These names are what a plugin may use.

Importing this package imports nothing else; each name is loaded when it is first used, and torch only with
those that need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdzoo import divergences
    from kdzoo.errors import UserError
    from kdzoo.hookspecs import hookimpl
    from kdzoo.kind import Kind
    from kdzoo.method import Method, Options, StepCost, Temperature, WeightedOptions
    from kdzoo.sequences import ScoredTokens, Sequences
    from kdzoo.step import ConditionedModel, Step

__all__ = [
    "ConditionedModel",
    "Kind",
    "Method",
    "Options",
    "ScoredTokens",
    "Sequences",
    "Step",
    "StepCost",
    "Temperature",
    "UserError",
    "WeightedOptions",
    "divergences",
    "hookimpl",
]

_HOMES = {
    "ConditionedModel": "kdzoo.step",
    "Kind": "kdzoo.kind",
    "Method": "kdzoo.method",
    "Options": "kdzoo.method",
    "ScoredTokens": "kdzoo.sequences",
    "Sequences": "kdzoo.sequences",
    "Step": "kdzoo.step",
    "StepCost": "kdzoo.method",
    "Temperature": "kdzoo.method",
    "UserError": "kdzoo.errors",
    "WeightedOptions": "kdzoo.method",
    "hookimpl": "kdzoo.hookspecs",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "divergences":
        return import_module("kdzoo.divergences")
    raise AttributeError(f"module 'kdzoo' has no attribute {name!r}")
