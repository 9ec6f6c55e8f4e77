"""Checks that a method keeps the rules of the hooks, whatever its idea is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import pluggy

from kdzoo.methods.registry import Plugin, find, hooks_of, plugin_of
from kdzoo.testing import check_aux_loss, check_description, check_divergence, check_options, check_sequences
from kdzoo.testing.case import Case
from kdzoo.testing.check import CheckResult, failure, not_run, run_checks

_READ = "plugin_can_be_read"
_CHECKS = [
    *check_description.CHECKS,
    *check_sequences.CHECKS,
    *check_divergence.CHECKS,
    *check_aux_loss.CHECKS,
    *check_options.CHECKS,
]


class MethodCheckError(AssertionError):
    """A method breaks rules; the message lists each check that did not pass, with its reason.

    ``results`` are those of all checks.
    """

    def __init__(self, method: str, results: Sequence[CheckResult]) -> None:
        self.results = list(results)
        failed = [result for result in results if not result.passed]
        lines = [f"{method}: {len(failed)} of {len(results)} checks did not pass:"]
        super().__init__("\n".join([*lines, *(f"  {result.name}: {result.reason}" for result in failed)]))


def check_method(
    method: str | ModuleType, options: Mapping[str, Any] | None = None, *, zero_at_teacher: bool = True
) -> None:
    """Check that a method keeps the rules of the hooks, on small random models.

    ``method`` is the name of an installed method, or the module that implements it. ``options`` are given as
    a recipe writes them; the defaults stand for the rest. ``zero_at_teacher`` says that the divergence is
    smallest, and without gradient, where student and teacher agree; state False for a loss that means to be
    otherwise.

    Checked are: the description and the options; the hooks' names and arguments; no torch at import; the
    training sequences' shapes, ids and sources; that random choices come from ``step.generator`` alone, and
    fall the same way however a batch is split; that the divergence gives a finite number for each token,
    whatever the other tokens, and gradients to the student only; that the auxiliary loss of a split batch adds up;
    and that every option is read, with the others as given, or with one of them at another of its choices.
    All checks are run, but for those that cannot because of another's failure.

    Raises:
        MethodCheckError: rules are broken; the message says which, and why the method breaks them. An AssertionError.
        UserError: no method of that name is installed.
        pydantic.ValidationError: the method has no such ``options``.
    """
    results = method_report(method, options, zero_at_teacher=zero_at_teacher)
    if not all(result.passed for result in results):
        raise MethodCheckError(_name(method), results) from next(
            (result.error for result in results if result.error is not None), None
        )


def method_report(
    method: str | ModuleType, options: Mapping[str, Any] | None = None, *, zero_at_teacher: bool = True
) -> list[CheckResult]:
    """Run the checks of `check_method` and give the result of each, in a fixed order.

    Raises:
        UserError: no method of that name is installed.
        pydantic.ValidationError: the method has no such ``options``.
    """
    plugin: Plugin
    if isinstance(method, str):
        plugin = find(method)
    else:
        try:
            plugin = plugin_of(method)
        except Exception as error:  # a module may raise anything
            in_words = isinstance(error, TypeError | pluggy.PluginValidationError)
            reason = str(error) if in_words else f"{type(error).__name__}: {error}"
            return [failure(_READ, reason, error), *(not_run(check, _READ) for check in _CHECKS)]
    case = Case(plugin, hooks_of(plugin), plugin.method.options(**options or {}), zero_at_teacher)
    reason = "The hooks have known names and arguments, and the method describes itself."
    return [CheckResult(_READ, True, reason), *run_checks(_CHECKS, case)]


def _name(method: str | ModuleType) -> str:
    return method if isinstance(method, str) else method.__name__
