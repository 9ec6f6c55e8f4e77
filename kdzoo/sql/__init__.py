"""Executing and judging SQL that nobody vouches for."""

from kdzoo.sql.judge import Item, Judge, Metric, Verdict
from kdzoo.sql.limits import Limits

__all__ = ["Item", "Judge", "Limits", "Metric", "Verdict"]
