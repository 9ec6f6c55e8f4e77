"""How a batch of prompts is laid out so that what they share is computed once.

A prompt of n tokens is split in three: a *beginning* that its neighbours share, the *rest*, and its *last* token.
The last token starts every branch, so that the logits at a branch's position t predict token t of the sequence and
no position of the prompt itself meets the vocabulary projection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

# Sharing a beginning costs one more forward pass for the rests; it pays only for beginnings of some length.
WORTHWHILE_TOKENS = 16
_WORTHWHILE_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class PrefixGroups:
    """B prompts in G groups of neighbouring rows, right-padded piece by piece.

    ``beginning`` is int64 [G, P] and ``beginning_lengths`` int64 [G]; ``rest`` is int64 [B, S] and ``rest_lengths``
    int64 [B]; ``last`` is int64 [B]; ``sizes`` gives the rows of each group. S is 0 where nothing is shared.
    """

    beginning: Tensor
    beginning_lengths: Tensor
    rest: Tensor
    rest_lengths: Tensor
    last: Tensor
    sizes: tuple[int, ...]

    @property
    def width(self) -> int:
        """The columns that a prompt without its last token takes, padding included: P + S."""
        return self.beginning.shape[1] + self.rest.shape[1]

    @property
    def lengths(self) -> Tensor:
        """Int64 [B]: the number of tokens of each prompt without its last."""
        return self.per_row(self.beginning_lengths) + self.rest_lengths

    def per_row(self, grouped: Tensor) -> Tensor:
        """Repeat a tensor [G, ...] to the rows of the groups, [B, ...], with a fast backward.

        Groups of one size are expanded and reshaped at once: indexing by integers would have a slow backward.
        """
        if all(size == 1 for size in self.sizes):
            return grouped
        if len(set(self.sizes)) == 1:
            shape = (len(self.sizes), self.sizes[0], *grouped.shape[1:])
            return grouped.unsqueeze(1).expand(shape).reshape(-1, *grouped.shape[1:])
        rows = [grouped[g : g + 1].expand(size, *grouped.shape[1:]) for g, size in enumerate(self.sizes)]
        return torch.cat(rows)

    def with_rests(self) -> PrefixGroups:
        """The same with one column of rests at least, so that these are always run."""
        if self.rest.shape[1] > 0:
            return self
        return replace(self, rest=self.rest.new_zeros(len(self.rest), 1))

    def to(self, device: torch.device | str, non_blocking: bool = False) -> PrefixGroups:
        """The same groups on another device."""
        return PrefixGroups(
            self.beginning.to(device, non_blocking=non_blocking),
            self.beginning_lengths.to(device, non_blocking=non_blocking),
            self.rest.to(device, non_blocking=non_blocking),
            self.rest_lengths.to(device, non_blocking=non_blocking),
            self.last.to(device, non_blocking=non_blocking),
            self.sizes,
        )


def order_by_prefix(prompts: Sequence[Sequence[int]]) -> list[int]:
    """Give the order of rows in which prompts that begin alike are neighbours (stable, lexicographic)."""
    return sorted(range(len(prompts)), key=lambda row: list(prompts[row]))


def group_prefixes(prompts: Sequence[Sequence[int]], *, share_beginnings: bool) -> PrefixGroups:
    """Lay out prompts (token ids, each of at least one token) in the order given.

    Neighbouring rows are grouped so that the tokens to compute are fewest; rows that share too little stay alone.

    Raises:
        ValueError: there is no prompt, or one is empty.
    """
    if not prompts or any(len(prompt) == 0 for prompt in prompts):
        raise ValueError("every prompt needs at least one token, and a batch at least one prompt")
    bodies = [list(prompt[:-1]) for prompt in prompts]
    return group_by_sizes(prompts, _best_groups(bodies) if share_beginnings else [1] * len(bodies))


def group_by_sizes(prompts: Sequence[Sequence[int]], sizes: Sequence[int]) -> PrefixGroups:
    """Lay out prompts of at least one token in groups of so many neighbours, whatever they share."""
    bodies = [list(prompt[:-1]) for prompt in prompts]
    beginnings: list[list[int]] = []
    rests: list[list[int]] = []
    row = 0
    for size in sizes:
        members = bodies[row : row + size]
        shared = min(_common(members[0], member) for member in members)
        beginnings.append(members[0][:shared])
        rests.extend(member[shared:] for member in members)
        row += size
    # One column at least: a model cannot run over no tokens, and a padded column is never attended to.
    beginning, beginning_lengths = _pad(beginnings, least=1)
    rest, rest_lengths = _pad(rests, least=0)
    last = torch.tensor([prompt[-1] for prompt in prompts], dtype=torch.long)
    return PrefixGroups(beginning, beginning_lengths, rest, rest_lengths, last, tuple(sizes))


def _best_groups(bodies: list[list[int]]) -> list[int]:
    """Cut the rows into runs such that most tokens are saved; ``best[i]`` is the most saved on the first i rows."""
    count = len(bodies)
    neighbours = [_common(bodies[i], bodies[i + 1]) for i in range(count - 1)]
    best = [0] * (count + 1)
    start_of = [0] * (count + 1)
    for end in range(1, count + 1):
        best[end], start_of[end] = best[end - 1], end - 1
        shared = len(bodies[end - 1])
        for start in range(end - 2, -1, -1):
            shared = min(shared, neighbours[start])
            saved = best[start] + shared * (end - start - 1)
            if shared >= WORTHWHILE_TOKENS and saved > best[end]:
                best[end], start_of[end] = saved, start
    if best[count] < _WORTHWHILE_SHARE * sum(len(body) for body in bodies):
        return [1] * count
    sizes: list[int] = []
    end = count
    while end:
        sizes.append(end - start_of[end])
        end = start_of[end]
    return sizes[::-1]


def _common(a: list[int], b: list[int]) -> int:
    """The number of tokens with which both begin."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _pad(rows: list[list[int]], *, least: int) -> tuple[Tensor, Tensor]:
    width = max(least, *(len(row) for row in rows))
    tokens = [row + [0] * (width - len(row)) for row in rows]
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
    return torch.tensor(tokens, dtype=torch.long).reshape(len(rows), width), lengths
