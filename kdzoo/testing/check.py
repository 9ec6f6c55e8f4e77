"""A rule that a plugin keeps, and the running of many: each is tried unless one that it builds on is broken."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeAlias, TypeVar


class Named(Protocol):
    """What is under check, by the name that messages call it."""

    @property
    def name(self) -> str: ...


AnyCase = TypeVar("AnyCase", bound=Named)

Rule: TypeAlias = "Callable[[AnyCase], None]"
"""Raises AssertionError where the rule is broken, in words for the plugin's author. Its docstring says the rule."""


class Outcome(StrEnum):
    """What became of a check."""

    PASSED = "passed"
    FAILED = "failed"
    EXPECTED_FAILURE = "expected failure"
    NOT_RUN = "not run"
    DOES_NOT_APPLY = "does not apply"


def _always(case: Any) -> bool:
    return True


@dataclass(frozen=True)
class Check(Generic[AnyCase]):
    """One rule, the rules without which it cannot be tried, and what it is for.

    ``otherwise`` says why it does not apply to anything else.
    """

    rule: Rule[AnyCase]
    needs: tuple[Rule[AnyCase], ...] = ()
    applies: Callable[[AnyCase], bool] = _always
    otherwise: str = "does not apply to this method"

    @property
    def name(self) -> str:
        return self.rule.__name__


@dataclass(frozen=True)
class CheckResult:
    """What became of one check.

    ``reason`` is one line: the rule that is kept, what breaks it, or why it could not be tried. ``error`` is what was
    raised, with its traceback.
    """

    name: str
    outcome: Outcome
    reason: str
    error: Exception | None = field(default=None, repr=False, compare=False)

    @property
    def passed(self) -> bool:
        """Whether the rule is kept, or is none for what was checked."""
        return self.outcome in (Outcome.PASSED, Outcome.DOES_NOT_APPLY)


class CheckError(AssertionError):
    """A plugin breaks rules; the message lists each check that was not passed, with its reason.

    ``results`` are those of all checks.
    """

    def __init__(self, name: str, results: Sequence[CheckResult]) -> None:
        self.results = list(results)
        failed = [result for result in results if result.outcome in (Outcome.FAILED, Outcome.NOT_RUN)]
        lines = [f"{name}: {len(failed)} of {len(results)} checks did not pass:"]
        super().__init__("\n".join([*lines, *(f"  {result.name}: {result.reason}" for result in failed)]))


class Checking(Generic[AnyCase]):
    """The checks of one case, each run when it is first asked for. ``expected`` gives the reasons of expected failures."""

    def __init__(
        self, checks: Sequence[Check[AnyCase]], case: AnyCase, expected: Mapping[str, str] | None = None
    ) -> None:
        self._checks = {check.name: check for check in checks}
        self._case = case
        self.expected = expected or {}
        self._results: dict[str, CheckResult] = {}

    def result(self, name: str) -> CheckResult:
        """What becomes of the check of that name."""
        if name not in self._results:
            self._results[name] = self._run(self._checks[name])
        return self._results[name]

    def results(self) -> list[CheckResult]:
        """What becomes of all checks, in their order."""
        return [self.result(name) for name in self._checks]

    def _run(self, check: Check[AnyCase]) -> CheckResult:
        expected = self.expected.get(check.name)
        if not check.applies(self._case):
            if expected is not None:
                return _stale(check.name, f"it {check.otherwise}")
            return CheckResult(check.name, Outcome.DOES_NOT_APPLY, check.otherwise)
        for needed in check.needs:
            if needed.__name__ in self._checks and not self.result(needed.__name__).passed:
                return not_run(check, needed.__name__)
        found = _tried(check, self._case)
        if expected is None:
            return found
        if found.passed:
            return _stale(check.name, "it passes")
        reason = " ".join(f"{expected} ({found.reason})".split())
        return CheckResult(check.name, Outcome.EXPECTED_FAILURE, reason, found.error)


def run_checks(
    checks: Sequence[Check[AnyCase]], case: AnyCase, expected: Mapping[str, str] | None = None
) -> list[CheckResult]:
    """Run all checks and give their results in their order."""
    return Checking(checks, case, expected).results()


def raise_failures(name: str, results: Sequence[CheckResult], error: type[CheckError] = CheckError) -> None:
    """Tell of all checks that were not passed, if one of them failed.

    Raises:
        CheckError: one failed that is not expected to.
    """
    failed = [result for result in results if result.outcome is Outcome.FAILED]
    if failed:
        cause = next((result.error for result in failed if result.error is not None), None)
        raise error(name, results) from cause


def summary(results: Sequence[CheckResult]) -> str:
    """How many checks had each outcome: "28 passed, 1 failed"."""
    counts = Counter(result.outcome for result in results)
    plural = {Outcome.EXPECTED_FAILURE: "expected failures", Outcome.DOES_NOT_APPLY: "do not apply"}
    return ", ".join(
        f"{count} {outcome if count == 1 else plural.get(outcome, outcome)}"
        for outcome in Outcome
        if (count := counts[outcome])
    )


def failure(name: str, reason: str, error: Exception) -> CheckResult:
    """The result of a check that raised; what torch and pluggy say may have several lines."""
    return CheckResult(name, Outcome.FAILED, " ".join(reason.split()), error)


def not_run(check: Check[Any], needed: str) -> CheckResult:
    """The result of a check that needs one which did not pass."""
    return CheckResult(check.name, Outcome.NOT_RUN, f"not run: it needs {needed}, which did not pass")


def _stale(name: str, what: str) -> CheckResult:
    return CheckResult(
        name, Outcome.FAILED, f"is declared in expected_failed_checks, but {what}: take it out there"
    )


def _tried(check: Check[AnyCase], case: AnyCase) -> CheckResult:
    try:
        check.rule(case)
    except AssertionError as error:
        return failure(check.name, str(error), error)
    except Exception as error:  # a plugin may raise anything
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{case.name}: {type(error).__name__}: {error} ({place.filename}:{place.lineno})"
        return failure(check.name, reason, error)
    rule = (check.rule.__doc__ or check.name).partition("\n")[0]
    return CheckResult(check.name, Outcome.PASSED, rule)
