"""For the tests of plugins: what checks methods, datasets and metrics, and steps over small random models to try hooks on.

A package with a method of its own needs one test, with a line in pytest's report for each rule::

    import pytest
    from kdzoo.testing import method_checks

    @pytest.mark.parametrize("check", method_checks("my_method"), ids=str)
    def test_my_method_keeps_the_rules(check):
        check()

`check_method` does the same at once, and `method_report` gives the result of each check, for tools. So do `check_dataset`
and `check_metric`, `dataset_report` and `metric_report`.
"""

from kdzoo.testing.check import CheckError, CheckResult, Outcome
from kdzoo.testing.checks import MethodCheck, MethodCheckError, check_method, method_checks, method_report
from kdzoo.testing.conditioned_table import VOCABULARY, ConditionedTable, TableModel
from kdzoo.testing.data_checks import check_dataset, check_metric, dataset_report, metric_report
from kdzoo.testing.table_model import RandomBatch, TableStep, make_tokenizer

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
    "check_dataset",
    "check_method",
    "check_metric",
    "dataset_report",
    "make_tokenizer",
    "method_checks",
    "method_report",
    "metric_report",
]
