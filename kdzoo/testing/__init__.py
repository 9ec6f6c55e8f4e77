"""For the tests of methods: `check_method`, and steps over small random models to try a method's hooks on.

A package with a method of its own needs one test, with a line in pytest's report for each rule::

    import pytest
    from kdzoo.testing import method_checks

    @pytest.mark.parametrize("check", method_checks("my_method"), ids=str)
    def test_my_method_keeps_the_rules(check):
        check()

`check_method` does the same at once, and `method_report` gives the result of each check, for tools.
"""

from kdzoo.testing.check import CheckError, CheckResult, Outcome
from kdzoo.testing.checks import MethodCheck, MethodCheckError, check_method, method_checks, method_report
from kdzoo.testing.table_model import (
    VOCABULARY,
    ConditionedTable,
    RandomBatch,
    TableModel,
    TableStep,
    make_tokenizer,
)

__all__ = [
    "VOCABULARY",
    "CheckError",
    "CheckResult",
    "ConditionedTable",
    "MethodCheck",
    "MethodCheckError",
    "Outcome",
    "RandomBatch",
    "TableModel",
    "TableStep",
    "check_method",
    "make_tokenizer",
    "method_checks",
    "method_report",
]
