"""Executing and judging SQL that nobody vouches for."""

from kdzoo.tasks.sql.judge import Item, Judge, Verdict
from kdzoo.tasks.sql.limits import ExecutionMetric, Limits
from kdzoo.tasks.sql.outlook import Outlook

__all__ = ["ExecutionMetric", "Item", "Judge", "Limits", "Outlook", "Verdict"]
