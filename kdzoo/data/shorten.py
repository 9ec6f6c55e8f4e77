"""Shortening prompts to the input limit by dropping what the question needs least."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kdzoo.data.example import Example


def fit(
    examples: Sequence[Example], limit: int, count_tokens: Callable[[str], int], *, training: bool
) -> list[Example]:
    """Give the examples with prompts of at most ``limit`` tokens, as far as they can be shortened.

    A prompt that fits stays as it is. In training, what the gold SQL uses is never dropped.
    """
    fitting = []
    for example in examples:
        # a token has one character at least, so that short texts need no counting
        if example.shorten is not None and len(example.prompt) > limit and count_tokens(example.prompt) > limit:
            prompt = example.shorten(lambda text: count_tokens(text) <= limit, training)
            fitting.append(replace(example, prompt=prompt))
        else:
            fitting.append(example)
    return fitting
