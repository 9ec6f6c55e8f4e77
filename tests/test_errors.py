"""Whose fault an error is: the caller's gives exit code 2, work that failed 1."""

from kdzoo.errors import RunError, UserError


def test_a_mistake_and_a_failure_end_in_different_exit_codes():
    assert UserError("r.toml:3: no such key").exit_code == 2
    assert RunError("the disk is full").exit_code == 1


def test_a_failure_is_told_like_a_mistake():
    assert isinstance(RunError("the disk is full"), UserError)
    assert str(RunError("the disk is full")) == "the disk is full"
