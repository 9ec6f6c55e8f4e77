"""kdzoo: a plugin-based zoo of knowledge-distillation methods. These names are what a plugin may use.

Importing this package does not import torch; the names that need it are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kdzoo.hookspecs import hookimpl
from kdzoo.method import Method, Options, StepCost, WeightedOptions

if TYPE_CHECKING:
    from kdzoo import divergences
    from kdzoo.sequences import Kind, ScoredTokens, Sequences
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
    "WeightedOptions",
    "divergences",
    "hookimpl",
]

_LAZY = {
    "Kind": "kdzoo.sequences",
    "ScoredTokens": "kdzoo.sequences",
    "Sequences": "kdzoo.sequences",
    "ConditionedModel": "kdzoo.step",
    "Step": "kdzoo.step",
}


def __getattr__(name: str) -> Any:
    if name == "divergences":
        return import_module("kdzoo.divergences")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'kdzoo' has no attribute {name!r}")
