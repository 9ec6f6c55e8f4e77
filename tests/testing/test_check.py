"""All checks run, each unless one that it needs did not pass."""

from __future__ import annotations

import pytest
from broken_methods import divergence, module

from kdzoo.methods.registry import hooks_of, plugin_of
from kdzoo.testing.case import Case
from kdzoo.testing.check import (
    Check,
    CheckError,
    Checking,
    CheckResult,
    Outcome,
    not_run,
    raise_failures,
    run_checks,
    summary,
)


def kept(case: Case) -> None:
    """It is kept.

    And this is not the rule.
    """


def broken(case: Case) -> None:
    """It is broken."""
    raise AssertionError(f"{case.name}: two\n   lines")


def stumbling(case: Case) -> None:
    """It cannot be tried."""
    raise ZeroDivisionError("nothing")


def case() -> Case:
    plugin = plugin_of(module(divergence))
    return Case(plugin, hooks_of(plugin), plugin.method.options())


def test_each_result_says_what_is_kept_or_what_is_wrong() -> None:
    results = run_checks([Check(kept), Check(broken), Check(stumbling)], case())
    assert results[:2] == [
        CheckResult("kept", Outcome.PASSED, "It is kept."),
        CheckResult("broken", Outcome.FAILED, "mine: two lines"),
    ]
    assert results[2].reason.startswith(f"mine: ZeroDivisionError: nothing ({__file__}:")
    assert [type(result.error) for result in results] == [type(None), AssertionError, ZeroDivisionError]


def test_what_needs_a_broken_one_is_not_run_and_neither_is_what_needs_that() -> None:
    calls = []

    def first(case: Case) -> None:
        calls.append("first")

    def second(case: Case) -> None:
        calls.append("second")

    def third(case: Case) -> None:
        """It needs none."""
        calls.append("third")

    checks = [
        Check(broken),
        Check(first, needs=(broken,)),
        Check(second, needs=(first,)),
        Check(third),
    ]
    results = run_checks(checks, case())
    assert calls == ["third"]
    assert results[1:] == [
        CheckResult("first", Outcome.NOT_RUN, "not run: it needs broken, which did not pass"),
        CheckResult("second", Outcome.NOT_RUN, "not run: it needs first, which did not pass"),
        CheckResult("third", Outcome.PASSED, "It needs none."),
    ]
    assert results[1] == not_run(checks[1], "broken")


def test_what_does_not_apply_passes_untried_and_holds_up_none() -> None:
    idle = Check(broken, needs=(stumbling,), applies=lambda case: case.implements("aux_loss"))
    results = run_checks([Check(stumbling), idle, Check(kept, needs=(broken,))], case())
    assert [(result.name, result.passed) for result in results] == [
        ("stumbling", False),
        ("broken", True),
        ("kept", True),
    ]


class TestExpectedFailures:
    def test_one_that_fails_says_why_it_is_expected_to_and_what_was_found(self) -> None:
        (result,) = run_checks([Check(broken)], case(), {"broken": "It is meant."})
        assert result == CheckResult("broken", Outcome.EXPECTED_FAILURE, "It is meant. (mine: two lines)")
        assert not result.passed
        raise_failures("mine", [result])

    def test_one_that_passes_is_a_failure(self) -> None:
        (result,) = run_checks([Check(kept)], case(), {"kept": "It is meant."})
        assert result == CheckResult(
            "kept",
            Outcome.FAILED,
            "is declared in expected_failed_checks, but it passes: take it out there",
        )

    def test_so_is_one_of_a_check_that_does_not_apply(self) -> None:
        (result,) = run_checks(
            [Check(broken, applies=lambda case: False)], case(), {"broken": "It is meant."}
        )
        assert (result.outcome, result.reason) == (
            Outcome.FAILED,
            "is declared in expected_failed_checks, but it does not apply to this method: take it out there",
        )

    def test_what_needs_one_is_not_run_and_is_no_failure(self) -> None:
        results = run_checks(
            [Check(broken), Check(kept, needs=(broken,))], case(), {"broken": "It is meant."}
        )
        assert [result.outcome for result in results] == [Outcome.EXPECTED_FAILURE, Outcome.NOT_RUN]
        raise_failures("mine", results)
        assert summary(results) == "1 expected failure, 1 not run"


def test_a_check_runs_once_and_only_when_it_is_asked_for() -> None:
    calls = []

    def first(case: Case) -> None:
        calls.append("first")

    def second(case: Case) -> None:
        calls.append("second")

    checking = Checking([Check(first), Check(second, needs=(first,)), Check(broken)], case())
    assert checking.result("second").passed
    assert calls == ["first", "second"]
    assert [result.outcome for result in checking.results()] == [
        Outcome.PASSED,
        Outcome.PASSED,
        Outcome.FAILED,
    ]
    assert calls == ["first", "second"]


def test_the_error_lists_what_was_not_passed_and_has_the_first_failure_as_its_cause() -> None:
    results = run_checks([Check(stumbling), Check(kept), Check(broken, needs=(stumbling,))], case())
    with pytest.raises(CheckError) as caught:
        raise_failures("mine", results)
    first, *others = str(caught.value).splitlines()
    assert first == "mine: 2 of 3 checks did not pass:"
    assert [line.split(":")[0].strip() for line in others] == ["stumbling", "broken"]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert summary(results) == "1 passed, 1 failed, 1 not run"
