"""Prompts of at most so many tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kdzoo.tasks.example import Example

# Tokenizers may add a token at the beginning and one for a leading space.
_TOKENS_ADDED = 2


def fit(
    examples: Sequence[Example], limit: int, count_tokens: Callable[[str], int], *, training: bool
) -> list[Example]:
    """Give the examples with prompts of at most ``limit`` tokens, as far as they can be shortened.

    A prompt that fits stays as it is. In training, what the gold SQL uses is never dropped.
    """
    fitting = []
    for example in examples:
        if example.shorten is None or _fits(example.prompt, limit, count_tokens):
            fitting.append(example)
        else:
            prompt = example.shorten(lambda text: count_tokens(text) <= limit, training)
            fitting.append(replace(example, prompt=prompt))
    return fitting


def without_longer(
    examples: Sequence[Example], limit: int, count_tokens: Callable[[str], int]
) -> list[Example]:
    """Give the examples whose prompts have at most ``limit`` tokens as they are."""
    return [example for example in examples if _fits(example.prompt, limit, count_tokens)]


def _fits(prompt: str, limit: int, count_tokens: Callable[[str], int]) -> bool:
    return surely_fits(prompt, limit) or count_tokens(prompt) <= limit


def surely_fits(text: str, limit: int) -> bool:
    """Whether a text fits without counting: a token stands for one byte at least."""
    return len(text.encode("utf-8", errors="replace")) + _TOKENS_ADDED <= limit
