"""Executing and judging SQL that nobody vouches for."""

from kdzoo.sql.judge import Item, Judge, Verdict
from kdzoo.sql.limits import Limits, Metric
from kdzoo.sql.outlook import Outlook

__all__ = ["Item", "Judge", "Limits", "Metric", "Outlook", "Verdict"]
