"""Executing and judging SQL that nobody vouches for."""

from kdzoo.tasks.sql.judge import Item, Judge, Verdict
from kdzoo.tasks.sql.limits import Limits, Metric
from kdzoo.tasks.sql.outlook import Outlook

__all__ = ["Item", "Judge", "Limits", "Metric", "Outlook", "Verdict"]
