"""What can be known to be wrong before a run writes anything."""

from kdzoo.preflight.checks import check
from kdzoo.preflight.models import count_from_scratch
from kdzoo.preflight.tokenizers import known_tokenizer

__all__ = ["check", "count_from_scratch", "known_tokenizer"]
