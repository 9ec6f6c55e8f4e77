"""kdzoo: a plugin-based zoo of knowledge-distillation methods. These names are what a plugin may use.

Importing this package does not import torch; the names that need it are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kdzoo import divergences
from kdzoo.errors import UserError
from kdzoo.hookspecs import hookimpl
from kdzoo.kind import Kind
from kdzoo.method import Method, Options, StepCost, WeightedOptions

if TYPE_CHECKING:
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
    "UserError",
    "WeightedOptions",
    "divergences",
    "hookimpl",
]

_LAZY = {
    "ScoredTokens": "kdzoo.sequences",
    "Sequences": "kdzoo.sequences",
    "ConditionedModel": "kdzoo.step",
    "Step": "kdzoo.step",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'kdzoo' has no attribute {name!r}")
