"""All checks run, each unless one that it needs did not pass."""

from __future__ import annotations

from broken_methods import divergence, module

from kdzoo.methods.registry import hooks_of, plugin_of
from kdzoo.testing.case import Case
from kdzoo.testing.check import Check, CheckResult, not_run, run_checks


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
        CheckResult("kept", True, "It is kept."),
        CheckResult("broken", False, "mine: two lines"),
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
        CheckResult("first", False, "not run: it needs broken, which did not pass"),
        CheckResult("second", False, "not run: it needs first, which did not pass"),
        CheckResult("third", True, "It needs none."),
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
