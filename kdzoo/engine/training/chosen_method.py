"""One method as a run uses it: its hooks over the core's defaults, what they say of themselves, and its options."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import pluggy

from kdzoo.methods import registry
from kdzoo.methods.method import Options
from kdzoo.methods.registry import Plugin


@dataclass(frozen=True, eq=False)
class ChosenMethod:
    """The hooks of one method, and which of them the core has to call.

    ``compares``: its divergence wants the teacher's logits. ``prepares`` and ``adapts`` say that it has the hooks
    ``prepare`` and ``after_step``.
    """

    name: str
    hooks: pluggy.HookRelay
    options: Options
    has_divergence: bool
    makes_sequences: bool
    compares: bool = True
    prepares: bool = False
    adapts: bool = False

    @property
    def keeps_target_lengths(self) -> bool:
        """Whether every training sequence has as many tokens as its prompt's ground truth."""
        return not self.makes_sequences or self.options.keeps_target_lengths


def choose_method(name: str, options: Options) -> ChosenMethod:
    """Find an installed method and put its hooks over the core's defaults.

    Raises:
        UserError: no such method is installed, or its plugin is broken.
    """
    return chosen(registry.find(name), options)


def chosen(plugin: Plugin, options: Options) -> ChosenMethod:
    """The same for a method that has been found."""
    has_divergence = registry.implements(plugin, "divergence")
    return ChosenMethod(
        plugin.method.name,
        registry.hooks_of(plugin),
        options,
        has_divergence=has_divergence,
        makes_sequences=registry.implements(plugin, "make_training_sequence"),
        compares=has_divergence and _declares(plugin, "divergence", "teacher_logits"),
        prepares=registry.implements(plugin, "prepare"),
        adapts=registry.implements(plugin, "after_step"),
    )


def _declares(plugin: Plugin, hook: str, argument: str) -> bool:
    return argument in inspect.signature(getattr(plugin.module, hook)).parameters
