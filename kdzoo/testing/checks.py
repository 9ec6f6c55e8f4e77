"""Checks that a method keeps the rules of the hooks, whatever its idea is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pluggy
import torch
from pydantic import ValidationError

from kdzoo.methods.method import Method, Options
from kdzoo.methods.registry import Plugin, find, hooks_of, implements, plugin_of
from kdzoo.methods.used_options import watched
from kdzoo.testing.case import Case
from kdzoo.testing.check_losses import check_aux_loss, check_chunks, check_divergence, check_minimum
from kdzoo.testing.check_options import check_options_are_used
from kdzoo.testing.check_sequences import check_randomness, check_sequences, check_split

_HOOKS = ("make_training_sequence", "divergence", "aux_loss")
_TORCH_IMPORTED = 3


def check_method(
    method: str | ModuleType, options: Mapping[str, Any] | None = None, *, zero_at_teacher: bool = True
) -> None:
    """Check that a method keeps the rules of the hooks, on small random models.

    ``method`` is the name of an installed method, or the module that implements it. ``options`` are given as
    a recipe writes them; the defaults stand for the rest. ``zero_at_teacher`` says that the divergence is
    smallest, and without gradient, where student and teacher agree; state False for a loss that means to be
    otherwise.

    Checked are: the description and the options; the hooks' names and arguments; no torch at import; the
    training sequences' shapes, ids and kinds; that random choices come from ``step.generator`` alone, and
    fall the same way however a batch is split; that the divergence gives a finite number for each token,
    whatever the other tokens, and gradients to the student only; that the auxiliary loss of a split batch adds up;
    and that every option is read, with the others as given, or with one of them at another of its choices.

    Raises:
        AssertionError: a rule is broken; the message says which.
        UserError: no method of that name is installed.
    """
    plugin = find(method) if isinstance(method, str) else _read(method)
    _check_description(plugin.method)
    _check_import(plugin.module)
    _check_hooks(plugin)
    given = _make_options(plugin.method, options or {})
    noted, read = watched(given)
    case = Case(plugin, hooks_of(plugin), noted)
    _check_no_teacher(case)
    check_sequences(case)
    check_randomness(case)
    check_split(case)
    if implements(plugin, "divergence"):
        for dtype in (torch.float32, torch.bfloat16):
            check_divergence(case, dtype)
        check_chunks(case)
        if zero_at_teacher:
            check_minimum(case)
    if implements(plugin, "aux_loss"):
        check_aux_loss(case)
    check_options_are_used(case, given, read)


def _read(module: ModuleType) -> Plugin:
    try:
        return plugin_of(module)
    except (pluggy.PluginValidationError, TypeError) as error:
        raise AssertionError(str(error)) from error


def _check_description(method: Method) -> None:
    for field in ("name", "summary", "paper", "training_data", "divergence", "aux_loss"):
        text = getattr(method, field)
        assert isinstance(text, str), f"Method.{field} must be a text, not {text!r}"
        assert text.strip(), f"Method.{field} is empty"
    for field in ("student", "student_no_grad", "teacher", "generation"):
        assert getattr(method.cost, field) >= 0, f"{method.name}: cost.{field} is negative"


def _check_import(module: ModuleType) -> None:
    """In a fresh process, describing the method leaves torch alone. A module in no file cannot be asked."""
    if getattr(module, "__spec__", None) is None:
        return
    code = (
        "import importlib, sys\n"
        f"importlib.import_module({module.__name__!r}).register_method()\n"
        f"sys.exit({_TORCH_IMPORTED} if 'torch' in sys.modules else 0)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False, capture_output=True)
    assert done.returncode != _TORCH_IMPORTED, (
        f"{module.__name__} imports torch before a hook needs it: "
        "import it under TYPE_CHECKING, or in the function that uses it"
    )


def _check_hooks(plugin: Plugin) -> None:
    for hook in _HOOKS:
        assert implements(plugin, hook) or not callable(getattr(plugin.module, hook, None)), (
            f"{plugin.method.name}: {hook} is not marked with @kdzoo.hookimpl, and would never be called"
        )
    assert implements(plugin, "divergence") or implements(plugin, "aux_loss"), (
        f"{plugin.method.name} has neither a divergence nor an aux_loss: nothing to learn from"
    )


def _make_options(method: Method, given: Mapping[str, Any]) -> Options:
    model = method.options
    options = model(**given)
    written = options.model_dump(mode="json", by_alias=True)
    assert model.model_validate(written) == options, (
        f"{method.name}: options do not survive being written as JSON"
    )
    try:
        model(**{"no such option": 1})
    except ValidationError:
        return options
    raise AssertionError(f"{method.name}: its options accept any name; a recipe's typo would pass unseen")


def _check_no_teacher(case: Case) -> None:
    if not case.plugin.method.uses_teacher:
        assert not implements(case.plugin, "divergence"), f"{case.name}: a divergence needs uses_teacher=True"
        assert not case.options.needs_teacher_target, f"{case.name}: teacher targets need uses_teacher=True"
