"""Telling of a stage's options that its method does not use."""

from __future__ import annotations

from kdzoo.methods.method import Options
from kdzoo.recipe.stages import all_options, option_name
from kdzoo.recipe.toml_text import toml_value

# enough for a method that decides by chance, batch by batch, what it does
_ENOUGH_STEPS = 10


class UnusedOptions:
    """The options of a stage that are not the defaults, until its method has read them.

    ``read`` is the growing set of the names of those that it has read: see `kdzoo.methods.used_options.watched`.
    """

    def __init__(self, options: Options, read: set[str]) -> None:
        model = type(options)
        given, defaults = all_options(options), all_options(model())
        names = {field: option_name(model, field) for field in model.model_fields}
        self._given = {
            field: f"{name} = {toml_value(given[name])}"
            for field, name in names.items()
            if name in given and given[name] != defaults.get(name)
        }
        self._read = read
        self._told = False

    def after(self, steps: int, *, last: bool) -> str | None:
        """Say, once, which options the method has left unread after so many steps; None while that is to be seen."""
        if self._told or (steps < _ENOUGH_STEPS and not last):
            return None
        self._told = True
        unused = [text for field, text in self._given.items() if field not in self._read]
        if not unused:
            return None
        return f"{', '.join(unused)} changed nothing in {steps} steps: the method does not use it with these options"
