"""Prompts of at most so many tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kdzoo.tasks.example import Example

# Tokenizers may add a token at the beginning and one for a leading space.
TOKENS_ADDED = 2


def fit(
    examples: Sequence[Example],
    limit: int,
    count_tokens: Callable[..., int],
    *,
    training: bool,
    added: int = TOKENS_ADDED,
) -> list[Example]:
    """Give the examples with prompts of at most ``limit`` tokens, as far as they can be shortened.

    A prompt that fits stays as it is. In training, what the gold SQL uses is never dropped. ``count_tokens`` takes a prompt,
    and of an example that has them also the messages before it; at most ``added`` tokens do not stand for the prompt itself.
    """
    fitting = []
    for example in examples:
        if example.shorten is None or _fits(example, limit, count_tokens, added):
            fitting.append(example)
        else:
            prompt = example.shorten(lambda text: count_tokens(text) <= limit, training)
            fitting.append(replace(example, prompt=prompt))
    return fitting


def without_longer(
    examples: Sequence[Example], limit: int, count_tokens: Callable[..., int], *, added: int = TOKENS_ADDED
) -> list[Example]:
    """Give the examples whose prompts have at most ``limit`` tokens as they are. See `fit`."""
    return [example for example in examples if _fits(example, limit, count_tokens, added)]


def _fits(example: Example, limit: int, count_tokens: Callable[..., int], added: int) -> bool:
    if example.earlier:
        return count_tokens(example.prompt, example.earlier) <= limit
    return surely_fits(example.prompt, limit, added) or count_tokens(example.prompt) <= limit


def surely_fits(text: str, limit: int, added: int = TOKENS_ADDED) -> bool:
    """Whether a text fits without counting: a token stands for one byte at least."""
    return len(text.encode("utf-8", errors="replace")) + added <= limit
