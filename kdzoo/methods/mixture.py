"""Methods put together from the hooks of several: training sequences as in one, a divergence as in another."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from types import ModuleType
from typing import Any

from pydantic import SerializeAsAny

from kdzoo.errors import UserError
from kdzoo.methods.hookspecs import hookimpl
from kdzoo.methods.method import Decoding, Method, Options
from kdzoo.methods.registry import Plugin, implements

PARTS = {"sequence": "make_training_sequence", "divergence": "divergence", "aux_loss": "aux_loss"}
"""What may come from another method, as recipes call it, and its hook."""

_METHOD = "method"
_KEEPING = ("setup", "prepare", "after_step")


class MixedOptions(Options):
    """The options of a mixture: ``parts`` has those of the method itself, and those of each part that comes from another."""

    parts: Mapping[str, SerializeAsAny[Options]] = {}

    def of(self, part: str) -> Options:
        """The options of the method that a part comes from."""
        return self.parts.get(part, self.parts[_METHOD])

    @property
    def needs_teacher_target(self) -> bool:
        return any(options.needs_teacher_target for options in self.parts.values())

    @property
    def teacher_target_decoding(self) -> Decoding:
        needing = (options for options in self.parts.values() if options.needs_teacher_target)
        return next(needing, self.of("sequence")).teacher_target_decoding

    @property
    def keeps_target_lengths(self) -> bool:
        return self.of("sequence").keeps_target_lengths

    @property
    def scores_target(self) -> bool:
        return self.of("aux_loss").scores_target

    @property
    def hidden_layers(self) -> tuple[int, ...]:
        return tuple(sorted({layer for options in self.parts.values() for layer in options.hidden_layers}))

    @property
    def teacher_hidden_layers(self) -> tuple[int, ...]:
        layers = {layer for options in self.parts.values() for layer in options.teacher_hidden_layers}
        return tuple(sorted(layers))

    @property
    def teacher_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(n for options in self.parts.values() for n in options.teacher_names))

    @property
    def average_decay(self) -> float | None:
        decay: float | None = self._agreed("average_decay")
        return decay

    @property
    def privileged_prompt(self) -> str | None:
        prompt: str | None = self._agreed("privileged_prompt")
        return prompt

    @property
    def teacher_model(self) -> str:
        return self.of("divergence").teacher_model

    @property
    def teacher_is_privileged(self) -> bool:
        return self.of("divergence").teacher_is_privileged

    def _agreed(self, name: str) -> Any:
        """What any part's options say of something that there is one of; None if none does."""
        said = {getattr(options, name) for options in self.parts.values()} - {None}
        if len(said) > 1:
            raise UserError(
                f"the parts of a method must have the same {name}, not {' and '.join(map(repr, said))}"
            )
        return next(iter(said), None)


def mix(method: Plugin, parts: Mapping[str, Plugin]) -> Plugin:
    """A method of which some ``parts`` (keys of `PARTS`) come from others; all its hooks are called with `MixedOptions`.

    Raises:
        UserError: a part cannot be had from the method that it is to come from; the message says why.
    """
    for part, plugin in parts.items():
        check_part(part, plugin)
    module = ModuleType(f"{method.module.__name__}_mixture")
    described = _described(method, parts)
    module.__dict__["register_method"] = hookimpl(lambda: described)
    of_hook = {PARTS[part]: (part, plugin) for part, plugin in parts.items()}
    for hook in (*PARTS.values(), *_KEEPING):
        part, plugin = of_hook.get(hook, (_METHOD, method))
        if implements(plugin, hook):
            module.__dict__[hook] = hookimpl(_with_own_options(getattr(plugin.module, hook), part))
    return Plugin(described, module, method.package, method.version)


def check_part(part: str, plugin: Plugin) -> None:
    """Check that a part can come from a method.

    Raises:
        UserError: it cannot; the message says why.
    """
    name = plugin.method.name
    if part == "divergence" and not implements(plugin, "divergence"):
        raise UserError(f'the method "{name}" has no divergence')
    keeping = [hook for hook in _KEEPING if implements(plugin, hook)]
    if keeping and implements(plugin, PARTS[part]):
        raise UserError(
            f'the method "{name}" prepares or keeps what its hooks need ({", ".join(keeping)}), so that none of them can be '
            f"taken alone; let it be the stage's method, and take other parts from elsewhere"
        )


def _described(method: Plugin, parts: Mapping[str, Plugin]) -> Method:
    of_others = ", ".join(f"{part} of {plugin.method.name}" for part, plugin in parts.items())

    def of(part: str) -> Method:
        return parts.get(part, method).method

    return replace(
        method.method,
        name=f"{method.method.name} with {of_others}",
        training_data=of("sequence").training_data,
        divergence=of("divergence").divergence,
        aux_loss=of("aux_loss").aux_loss,
        uses_teacher=any(plugin.method.uses_teacher for plugin in (method, *parts.values())),
        options=MixedOptions,
    )


def _with_own_options(function: Callable[..., Any], part: str) -> Callable[..., Any]:
    """A hook that is given the mixture's options, and gives on those of the method that it comes from."""

    names = tuple(inspect.signature(function).parameters)

    @wraps(function)  # by which pluggy knows its arguments
    def call(*given: Any) -> Any:
        own = [
            value.of(part) if name == "options" else value for name, value in zip(names, given, strict=True)
        ]
        return function(*own)

    return call
