"""A rule that a method keeps, and the running of many: each is tried unless one that it builds on is broken."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from kdzoo.testing.case import Case

Rule: TypeAlias = "Callable[[Case], None]"
"""Raises AssertionError where the rule is broken, in words for the author of the method. Its docstring says the rule."""


def _always(case: Case) -> bool:
    return True


@dataclass(frozen=True)
class Check:
    """One rule, the rules without which it cannot be tried, and the methods that it is for."""

    rule: Rule
    needs: tuple[Rule, ...] = ()
    applies: Callable[[Case], bool] = _always

    @property
    def name(self) -> str:
        return self.rule.__name__


@dataclass(frozen=True)
class CheckResult:
    """What became of one check.

    ``reason`` is one line: the rule that is kept, what breaks it, or why it could not be tried (which does not pass
    either). ``error`` is what was raised, with its traceback.
    """

    name: str
    passed: bool
    reason: str
    error: Exception | None = field(default=None, repr=False, compare=False)


def run_checks(checks: Sequence[Check], case: Case) -> list[CheckResult]:
    """Run all checks in their order, in which each stands behind those that it needs."""
    failed: set[str] = set()
    results = []
    for check in checks:
        result = _run(check, case, failed)
        if not result.passed:
            failed.add(check.name)
        results.append(result)
    return results


def failure(name: str, reason: str, error: Exception) -> CheckResult:
    """The result of a check that raised; what torch and pluggy say may have several lines."""
    return CheckResult(name, False, " ".join(reason.split()), error)


def not_run(check: Check, needed: str) -> CheckResult:
    """The result of a check that needs one which did not pass."""
    return CheckResult(check.name, False, f"not run: it needs {needed}, which did not pass")


def _run(check: Check, case: Case, failed: set[str]) -> CheckResult:
    if not check.applies(case):
        return CheckResult(check.name, True, "does not apply to this method")
    for needed in check.needs:
        if needed.__name__ in failed:
            return not_run(check, needed.__name__)
    try:
        check.rule(case)
    except AssertionError as error:
        return failure(check.name, str(error), error)
    except Exception as error:  # a hook may raise anything
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{case.name}: {type(error).__name__}: {error} ({place.filename}:{place.lineno})"
        return failure(check.name, reason, error)
    return CheckResult(check.name, True, (check.rule.__doc__ or check.name).partition("\n")[0])
