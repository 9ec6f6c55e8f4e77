"""Continuing prompts token by token, with one model or with several that read the same tokens in lockstep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from kdzoo.engine.prompts.sampling import SamplingLimits, is_end
from kdzoo.methods.model_arguments import check_chosen
from kdzoo.methods.sampling import next_tokens
from kdzoo.methods.sequences import Sequences


class Stepper(Protocol):
    """A model that continues n rows. Each of them may have ended before the others, and is then no longer kept."""

    def next_logits(self) -> Tensor:
        """Float [n, V]: what predicts each row's next token. Once for each token."""
        ...

    def append(self, tokens: Tensor) -> None:
        """Say which token follows in each row: int64 [n]."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these (int64 indices), before their next token is appended."""
        ...


class Steppable(Protocol):
    """A model over B prompts that can continue them.

    ``rows_at_once`` is how many at a time: None for any number.
    """

    @property
    def rows_at_once(self) -> int | None: ...

    def start(self, rows: Tensor, beginning: Tensor) -> Stepper:
        """Continue the prompts of these rows (int64 [n]) after the tokens ``beginning`` (int64 [n, k], k may be 0)."""
        ...


Pick = Callable[[list[Tensor], Tensor, int], Tensor]
"""Picks the next tokens, int64 [n]: from each model's logits [n, V], for these rows (int64 [n]), as tokens of this number."""


def sampling(temperature: float, uniform: Tensor | None) -> Pick:
    """Sample by float [B, T, 1] in [0, 1), or at temperature 0 greedily, from the one model there is."""

    def pick(logits: list[Tensor], rows: Tensor, step: int) -> Tensor:
        return next_tokens(logits[0], temperature, None if uniform is None else uniform[rows, step, 0])

    return pick


def choosing(choose: Callable[..., Tensor], uniform: Tensor) -> Pick:
    """Let a method choose, by float [B, T, draws] in [0, 1).

    The pick raises a RunError where the method gives no token ids.
    """

    def pick(logits: list[Tensor], rows: Tensor, step: int) -> Tensor:
        chosen = choose(*logits, uniform[rows, step])
        check_chosen(chosen, len(rows))
        return chosen

    return pick


def generate(
    models: Sequence[Steppable],
    pick: Pick,
    limits: SamplingLimits,
    chosen: Tensor,
    prefix: Sequences | None = None,
) -> tuple[Tensor, Tensor]:
    """Continue the prompts marked in ``chosen`` (bool [B]): tokens int64 [B, output limit], lengths int64 [B].

    Each row begins with its ``prefix``, and goes on until the limit or until it has a token of ``limits.end_ids``. All
    models read what is picked; their logits are cut to the vocabulary that they share.
    """
    tokens = torch.zeros(len(chosen), limits.output, dtype=torch.long, device=chosen.device)
    lengths = torch.zeros_like(tokens[:, 0])
    open_ = chosen
    if prefix is not None:
        given = prefix.mask & chosen[:, None]
        width = min(limits.output, given.shape[1])
        tokens[:, :width] = prefix.tokens[:, :width].where(given[:, :width], 0)
        lengths = given.sum(1)
        has_ended = (is_end(prefix.tokens, limits.end_ids) & given).any(1)
        open_ = chosen & ~has_ended & (lengths < limits.output)
    rows = open_.nonzero().squeeze(-1)
    at_once = min((n for model in models if (n := model.rows_at_once) is not None), default=max(1, len(rows)))
    for part in torch.split(rows, at_once) if len(rows) else ():
        _extend(models, pick, limits, part, tokens, lengths, has_prefix=prefix is not None)
    return tokens, lengths


def _extend(
    models: Sequence[Steppable],
    pick: Pick,
    limits: SamplingLimits,
    rows: Tensor,
    tokens: Tensor,
    lengths: Tensor,
    *,
    has_prefix: bool,
) -> None:
    """Write tokens behind what the rows have, and their number, until all have ended."""
    given = lengths[rows]
    shortest, longest = (int(given.min()), int(given.max())) if has_prefix else (0, 0)
    steppers = [model.start(rows, tokens[rows, :shortest]) for model in models]
    for step in range(shortest, limits.output):
        logits = [stepper.next_logits() for stepper in steppers]
        known = min(one.shape[-1] for one in logits)
        logits = [one[:, : min(known, limits.vocabulary or known)] for one in logits]
        if step >= longest:
            new = pick(logits, rows, step)
        else:
            new = tokens[rows, step]
            free = (given <= step).nonzero().squeeze(-1)
            if len(free):
                new[free] = pick([one[free] for one in logits], rows[free], step)
        tokens[rows, step] = new
        lengths[rows] = step + 1  # a row that still reads its prefix cannot end before it has read all
        if step + 1 == limits.output:
            return
        going = ~is_end(new, limits.end_ids)
        remaining = int(going.sum())
        if remaining == 0:
            return
        if remaining < len(rows):
            kept = going.nonzero().squeeze(-1)
            rows, new, given = rows[kept], new[kept], given[kept]
            for stepper in steppers:
                stepper.keep(kept)
        for stepper in steppers:
            stepper.append(new)
