"""Checks that a method keeps the rules of the hooks, whatever its idea is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any

import pluggy

from kdzoo.errors import UserError
from kdzoo.methods.registry import discover, find, hooks_of, plugin_of
from kdzoo.spelling import hint
from kdzoo.testing import (
    check_aux_loss,
    check_description,
    check_divergence,
    check_options,
    check_sequences,
    check_state,
)
from kdzoo.testing.case import Case
from kdzoo.testing.check import (
    Check,
    CheckError,
    Checking,
    CheckResult,
    Outcome,
    failure,
    not_run,
    raise_failures,
)
from kdzoo.testing.check_divergence import divergence_is_smallest_at_the_teacher

_READ = "plugin_can_be_read"


def expected_failures_are_checks(case: Case) -> None:
    """The failures that the method expects are of checks that there are, each with its reason."""
    known = [check.name for check in _CHECKS if check.rule is not expected_failures_are_checks]
    for name, reason in _expected(case).items():
        assert name in known, (
            f"{case.name}: expected_failed_checks names {name!r}, which is no check that can be expected to fail"
            f"{hint(str(name), known)}"
        )
        assert isinstance(reason, str), f"{case.name}: expected_failed_checks: {name} needs a reason in words"
        assert reason.strip(), f"{case.name}: expected_failed_checks: {name} needs a reason"


_CHECKS: list[Check[Case]] = [
    Check(expected_failures_are_checks),
    *check_description.CHECKS,
    *check_state.CHECKS,
    *check_sequences.CHECKS,
    *check_divergence.CHECKS,
    *check_aux_loss.CHECKS,
    *check_options.CHECKS,
]


class MethodCheckError(CheckError):
    """A method breaks rules; the message lists each check that was not passed, with its reason.

    ``results`` are those of all checks.
    """


@dataclass(frozen=True)
class MethodCheck:
    """One check of a method, to be called as a test: see `method_checks`."""

    name: str
    method: str
    result: Callable[[], CheckResult]

    def __call__(self) -> None:
        """Run the check, unless another has needed it already. pytest is told of expected failures and of what is not run.

        Raises:
            MethodCheckError: it failed.
        """
        found = self.result()
        if found.passed:
            return
        if found.outcome is not Outcome.FAILED:
            import pytest

            (pytest.skip if found.outcome is Outcome.NOT_RUN else pytest.xfail)(found.reason)
        raise MethodCheckError(self.method, [found]) from found.error

    def __str__(self) -> str:
        return self.name


def check_method(
    method: str | ModuleType, options: Mapping[str, Any] | None = None, *, zero_at_teacher: bool = True
) -> None:
    """Check that a method keeps the rules of the hooks, on small random models.

    ``method`` is the name of an installed method, or the module that implements it. ``options`` are given as
    a recipe writes them; the defaults stand for the rest.

    Checked are: the description and the options; the hooks' names and arguments; no torch at import; what is set up and
    prepared, and that a checkpoint carries it; the
    training sequences' shapes, ids and sources; that random choices come from ``step.generator`` alone, and
    fall the same way however a batch is split; that the divergence gives a finite number for each token,
    whatever the other tokens, and gradients to the student only; that it is smallest, and without gradient, where
    student and teacher agree; that the auxiliary loss of a split batch adds up;
    and that every option is read, with the others as given, or with one of them at another of its choices.
    All checks are run, but for those that cannot because of another's failure.

    A method that means to break a rule names it in ``Method.expected_failed_checks``, with the reason. Its check then has
    to fail: one that passes after all is an error. ``zero_at_teacher`` is deprecated; False leaves out
    ``divergence_is_smallest_at_the_teacher``.

    Raises:
        MethodCheckError: rules are broken; the message says which, and why the method breaks them. An AssertionError.
        UserError: no method of that name is installed.
        pydantic.ValidationError: the method has no such ``options``.
    """
    results = method_report(method, options, zero_at_teacher=zero_at_teacher)
    raise_failures(_name(method), results, MethodCheckError)


def method_report(
    method: str | ModuleType, options: Mapping[str, Any] | None = None, *, zero_at_teacher: bool = True
) -> list[CheckResult]:
    """Run the checks of `check_method` and give the result of each, in a fixed order.

    Raises:
        UserError: no method of that name is installed.
        pydantic.ValidationError: the method has no such ``options``.
    """
    checks = _CHECKS
    if not zero_at_teacher:
        warnings.warn(
            "zero_at_teacher is deprecated: let Method.expected_failed_checks name "
            "divergence_is_smallest_at_the_teacher, with the reason",
            DeprecationWarning,
            stacklevel=2,
        )
        checks = [_left_out(c) if c.rule is divergence_is_smallest_at_the_teacher else c for c in checks]
    read = _read(method, options)
    if isinstance(read, CheckResult):
        return [read, *(not_run(check, _READ) for check in checks)]
    return [_is_read(), *_checking(read, checks).results()]


def method_checks(method: str | ModuleType, options: Mapping[str, Any] | None = None) -> list[MethodCheck]:
    """Give the checks of `check_method` one by one, for tests of their own::

        @pytest.mark.parametrize("check", method_checks("my_method"), ids=str)
        def test_my_method_keeps_the_rules(check):
            check()

    Those that do not apply to the method are left out. An expected failure is reported by pytest as one (xfail).

    Raises:
        UserError: no method of that name is installed.
        pydantic.ValidationError: the method has no such ``options``.
    """
    name = _name(method)
    read = _read(method, options)
    if isinstance(read, CheckResult):
        return [MethodCheck(_READ, name, lambda: read)]
    checking = _checking(read, _CHECKS)
    applying = [check.name for check in _CHECKS if check.applies(read) or check.name in checking.expected]
    return [
        MethodCheck(_READ, name, _is_read),
        *(MethodCheck(check, name, partial(checking.result, check)) for check in applying),
    ]


def _read(method: str | ModuleType, options: Mapping[str, Any] | None) -> Case | CheckResult:
    """The method with its options, or the result of the check that it could not be read."""
    try:
        plugin = find(method) if isinstance(method, str) else plugin_of(method)
    except UserError as error:
        if any(broken.name == method for broken in discover().broken):
            return failure(_READ, str(error), error)
        raise
    except Exception as error:  # a module may raise anything
        in_words = isinstance(error, TypeError | pluggy.PluginValidationError)
        return failure(_READ, str(error) if in_words else f"{type(error).__name__}: {error}", error)
    return Case(plugin, hooks_of(plugin), plugin.method.options(**options or {}))


def _is_read() -> CheckResult:
    reason = "The hooks have known names and arguments, and the method describes itself."
    return CheckResult(_READ, Outcome.PASSED, reason)


def _checking(case: Case, checks: list[Check[Case]]) -> Checking[Case]:
    try:
        expected = {**_expected(case)}
        expected.pop(expected_failures_are_checks.__name__, None)  # it would excuse itself
    except Exception:  # expected_failures_are_checks meets it again, and tells of it
        expected = {}
    return Checking(checks, case, expected)


def _expected(case: Case) -> Mapping[str, str]:
    """The failures that the method expects with these options."""
    declared = case.plugin.method.expected_failed_checks
    expected = declared(case.options) if callable(declared) else declared
    assert isinstance(expected, Mapping), (
        f"{case.name}: expected_failed_checks must be reasons by the names of checks, not {expected!r}"
    )
    return expected


def _left_out(check: Check[Case]) -> Check[Case]:
    return replace(check, applies=lambda case: False, otherwise="left out by zero_at_teacher=False")


def _name(method: str | ModuleType) -> str:
    return method if isinstance(method, str) else method.__name__
