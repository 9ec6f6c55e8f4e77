"""What can be known to be wrong before a run writes anything."""

from kdzoo.runs.checks.before_run import check
from kdzoo.runs.checks.models import count_from_scratch
from kdzoo.runs.checks.tokenizers import known_tokenizer

__all__ = ["check", "count_from_scratch", "known_tokenizer"]
