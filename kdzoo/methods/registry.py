"""Finds the installed methods and selects one of them with the core's defaults."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint
from types import ModuleType

import pluggy
from pydantic import ValidationError

from kdzoo.methods import defaults, hookspecs
from kdzoo.methods.entry_points import Broken, check_name, entries_of, load, package_of, why_not_found
from kdzoo.methods.method import Method, Options


@dataclass(frozen=True)
class Plugin:
    """One installed method, the module that implements it, and the package that brought it."""

    method: Method
    module: ModuleType
    package: str
    version: str


@dataclass(frozen=True)
class Zoo:
    """Everything found in the entry-point group ``kdzoo``, by name."""

    plugins: dict[str, Plugin]
    broken: list[Broken]


@cache
def discover() -> Zoo:
    """Load every entry point of the group ``kdzoo``. One that fails stands in ``Zoo.broken``."""
    plugins: dict[str, Plugin] = {}
    broken: list[Broken] = []
    for entry in entries_of(hookspecs.PROJECT):
        plugin = load(entry, lambda entry: _read(entry, plugins))
        if isinstance(plugin, Broken):
            broken.append(plugin)
        else:
            plugins[plugin.method.name] = plugin
    return Zoo(plugins, broken)


def find(name: str) -> Plugin:
    """Give the method of that name.

    Raises:
        UserError: no such method is installed, or its plugin is broken.
    """
    zoo = discover()
    if name in zoo.plugins:
        return zoo.plugins[name]
    raise why_not_found("method", name, zoo.plugins, zoo.broken)


def plugin_of(module: ModuleType, package: str = "unknown", version: str = "unknown") -> Plugin:
    """Read the method that a module implements.

    Raises:
        pluggy.PluginValidationError: a hook has an unknown name or argument.
        TypeError: ``register_method`` is missing or does not give a Method, or its options cannot be had by default.
    """
    manager = _manager()
    manager.register(module)
    manager.check_pending()
    method = manager.hook.register_method()
    if not isinstance(method, Method):
        name = getattr(module, "__name__", module)
        raise TypeError(f"register_method of {name} must give a kdzoo.Method, not {method!r}")
    _check_options(method)
    return Plugin(method, module, package, version)


def hooks_of(plugin: Plugin) -> pluggy.HookRelay:
    """Give the hooks of one method over the core's defaults. No other plugin takes part."""
    manager = _manager()
    manager.register(defaults)
    manager.register(plugin.module)
    return manager.hook


def implements(plugin: Plugin, hook: str) -> bool:
    """Say whether the method has an implementation of its own of that hook, marked as one by ``hookimpl``."""
    return hasattr(getattr(plugin.module, hook, None), f"{hookspecs.PROJECT}_impl")


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def _check_options(method: Method) -> None:
    if not (isinstance(method.options, type) and issubclass(method.options, Options)):
        raise TypeError(
            f"method {method.name!r}: options must derive from kdzoo.Options, not {method.options!r}"
        )
    try:
        method.options()
    except ValidationError as error:
        names = ", ".join(str(problem["loc"][0]) for problem in error.errors() if problem["loc"])
        raise TypeError(
            f"method {method.name!r}: every option needs a default that is right: {names}"
        ) from None


def _read(entry: EntryPoint, known: dict[str, Plugin]) -> Plugin:
    plugin = plugin_of(entry.load(), *package_of(entry))
    name = plugin.method.name
    check_name(entry, "method", name)
    if name in known:
        raise ValueError(f"the package {known[name].package} has already registered a method of that name")
    return plugin
