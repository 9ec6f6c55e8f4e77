"""For the tests of methods: `check_method`, and steps over small random models to try a method's hooks on.

A package with a method of its own needs one test::

    from kdzoo.testing import check_method

    def test_my_method_keeps_the_rules():
        check_method("my_method")
"""

from kdzoo.testing.checks import check_method
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
    "ConditionedTable",
    "RandomBatch",
    "TableModel",
    "TableStep",
    "check_method",
    "make_tokenizer",
]
