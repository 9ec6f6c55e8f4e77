"""For the tests of methods: `check_method`, and steps over small random models to try a method's hooks on.

A package with a method of its own needs one test::

    from kdzoo.testing import check_method

    def test_my_method_keeps_the_rules():
        check_method("my_method")

`method_report` gives the result of each check, for tools.
"""

from kdzoo.testing.check import CheckResult
from kdzoo.testing.checks import MethodCheckError, check_method, method_report
from kdzoo.testing.conditioned_table import VOCABULARY, ConditionedTable, TableModel
from kdzoo.testing.table_model import RandomBatch, TableStep, make_tokenizer

__all__ = [
    "VOCABULARY",
    "CheckResult",
    "ConditionedTable",
    "MethodCheckError",
    "RandomBatch",
    "TableModel",
    "TableStep",
    "check_method",
    "make_tokenizer",
    "method_report",
]
