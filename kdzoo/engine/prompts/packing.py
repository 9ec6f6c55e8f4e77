"""Several sequences after one prompt, packed into one row of tokens.

The first sequence of a prompt stands whole. Of every other one only those tokens follow that stand after its first
difference from the first sequence: what comes before has the same hidden states. A mask keeps the sequences apart, so
that the prompt's keys and values are used once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kdzoo.methods.sequences import Sequences


@dataclass(frozen=True, eq=False)
class Packing:
    """B rows of W input tokens in which the sequences stand.

    ``inputs`` is int64 [B, W]; ``offsets`` int64 [B, W], each token's position after the prompt's last but one token;
    ``visible`` bool [B, W, W], which tokens of its row a token attends to; ``places`` has, for each batch of
    them, int64 [R, T]: where in the B * W hidden states the one stands that predicts token t of sequence r.
    """

    inputs: Tensor
    offsets: Tensor
    visible: Tensor
    places: tuple[Tensor, ...]


def pack(last: Tensor, several: Sequence[Sequences]) -> Packing:
    """Pack several batches of sequences; ``last`` is int64 [B], the last token of each prompt."""
    branches = [branch for sequences in several for branch in _apart(sequences)]
    first = branches[0]
    inputs, offsets, starts, columns = [], [], [], []
    width = 0
    for branch in branches:
        whole = torch.cat([last[:, None], branch.tokens[:, :-1]], dim=1)
        if branch is first:
            start, most = torch.zeros_like(last), whole.shape[1]
        else:
            # at the first difference the input is still the same: it is the token before
            start = torch.minimum(_common(first, branch) + 1, first.lengths)
            most = int((branch.lengths - start).clamp_min(0).max())
        columns.append(width)
        starts.append(start)
        offset = start[:, None] + torch.arange(most, device=last.device)
        # padding repeats the row's last token, so that no position is beyond those that the row needs
        offset = offset.minimum((branch.lengths - 1).clamp_min(0)[:, None])
        inputs.append(whole.gather(1, offset))
        offsets.append(offset)
        width += most
    places = []
    rows = torch.arange(len(last), device=last.device)[:, None] * width
    for branch, start, column in zip(branches, starts, columns, strict=True):
        token = torch.arange(branch.tokens.shape[1], device=last.device)
        own = column + token - start[:, None]
        places.append(rows + torch.where(token < start[:, None], token, own))
    return Packing(
        torch.cat(inputs, dim=1),
        torch.cat(offsets, dim=1),
        _visible(columns, starts, width),
        _by_member(places, several),
    )


def _apart(sequences: Sequences) -> list[Sequences]:
    """One batch of one sequence per prompt for each sequence that a prompt has."""
    count = sequences.per_prompt
    return [
        Sequences(sequences.tokens[i::count], sequences.lengths[i::count], sequences.sources[i::count])
        for i in range(count)
    ]


def _common(first: Sequences, other: Sequences) -> Tensor:
    """Int64 [B]: the number of tokens with which both sequences begin."""
    width = min(first.tokens.shape[1], other.tokens.shape[1])
    same = first.tokens[:, :width] == other.tokens[:, :width]
    both = first.mask[:, :width] & other.mask[:, :width]
    return (same & both).long().cumprod(1).sum(1)


def _visible(columns: list[int], starts: list[Tensor], width: int) -> Tensor:
    """Bool [B, W, W]: a token sees the shared beginning of its sequence, and its own branch up to itself."""
    device = starts[0].device
    token = torch.arange(width, device=device)
    ends = [*columns[1:], width]
    visible = torch.zeros(len(starts[0]), width, width, dtype=torch.bool, device=device)
    causal = token[:, None] >= token
    for column, end, start in zip(columns, ends, starts, strict=True):
        visible[:, column:end, column:end] = causal[column:end, column:end]
        if column:
            visible[:, column:end, : ends[0]] = (token[: ends[0]] < start[:, None])[:, None]
    return visible


def _by_member(places: list[Tensor], several: Sequence[Sequences]) -> tuple[Tensor, ...]:
    """Put the branches of each batch together again, row by row."""
    remaining = iter(places)
    return tuple(
        torch.stack([next(remaining) for _ in range(sequences.per_prompt)], dim=1).flatten(0, 1)
        for sequences in several
    )
