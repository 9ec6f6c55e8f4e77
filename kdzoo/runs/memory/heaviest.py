"""The batch of a training that takes the most memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kdzoo.engine.prompts.batch_order import order_of
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.prompts.prefix_groups import group_prefixes, order_by_prefix
from kdzoo.recipe import Training

# Batches that are looked at: those of a long training are no heavier than those of its beginning.
_BATCHES = 2000


def heaviest_part(
    examples: Sequence[EncodedExample], training: Training, rows: int, seed: int
) -> list[EncodedExample]:
    """Of the parts of so many rows that the training's steps are computed in, the one with the most tokens, padding included."""
    best: list[EncodedExample] = []
    most = -1
    for part in _parts(examples, training, rows, seed):
        tokens = padded_tokens(part, shares=training.sharing == "on")
        if tokens > most:
            best, most = part, tokens
    return best


def padded_tokens(rows: Sequence[EncodedExample], *, shares: bool) -> int:
    """The tokens of a batch, padding included, with beginnings that are ``shared`` counted once."""
    prompts = [row.prompt for row in rows]
    if not shares:
        of_prompts = len(rows) * max(map(len, prompts))
    else:
        groups = group_prefixes([prompts[i] for i in order_by_prefix(prompts)], share_beginnings=True)
        of_prompts = groups.beginning.numel() + groups.rest.numel()
    return of_prompts + len(rows) * max(len(row.target) for row in rows)


def _parts(
    examples: Sequence[EncodedExample], training: Training, rows: int, seed: int
) -> Iterator[list[EncodedExample]]:
    """The parts in the order of the training's first steps."""
    sampler = order_of(examples, training.batch_size, training.size_of_groups, seed)
    left = min(_BATCHES, training.steps(len(examples)) * max(1, training.batch_size // rows))
    epoch = 0
    while left > 0:
        sampler.set_epoch(epoch)
        order = list(sampler)
        for start in range(0, len(order), rows):
            if left == 0:
                return
            yield [examples[i] for i in order[start : start + rows]]
            left -= 1
        epoch += 1
