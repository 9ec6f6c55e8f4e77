"""Target-shaped token sequences, and the tokens of them that are scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from kdzoo.errors import RunError
from kdzoo.methods.earlier_names import earlier_name
from kdzoo.methods.source import Source

__all__ = ["ScoredTokens", "Sequences", "Source"]


def _none() -> Tensor:
    return torch.empty(0, dtype=torch.long)


@dataclass(frozen=True, eq=False)
class ScoredTokens:
    """N scored tokens in row-major order: each one's id, where it stands, and what is known of it.

    ``ids``, ``sources``, ``rows`` and ``positions`` are int64 tensors of shape [N]: a token is that of its sequence's row
    at its position, and ``sources`` holds values of `Source`. ``values`` are the tensors [N, ...] that the method has
    attached to the sequences, by name (`Sequences.with_values`). ``source_counts`` int64 [number of sources] are the scored
    tokens of each source in the whole optimizer step: in all parts of its batch, over all processes. None where the core
    has not counted them.
    """

    ids: Tensor
    sources: Tensor
    source_counts: Tensor | None = None
    rows: Tensor = field(default_factory=_none)
    positions: Tensor = field(default_factory=_none)
    values: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.ids.shape[0]

    def __getitem__(self, part: slice) -> ScoredTokens:
        values = {name: value[part] for name, value in self.values.items()}
        return ScoredTokens(
            self.ids[part],
            self.sources[part],
            self.source_counts,
            self.rows[part],
            self.positions[part],
            values,
        )

    @property
    def source_shares(self) -> Tensor:
        """Float32 [N]: which share of the optimizer step's scored tokens is of the same source as each token.

        A loss divided by it is averaged over the tokens of its own source.

        Raises:
            RunError: the tokens were not counted by source.
        """
        if self.source_counts is None:
            raise RunError(
                "tokens.source_shares is not known: the tokens of a method whose options say keeps_target_lengths are "
                "counted before anyone knows where its sequences come from; let them say False"
            )
        return (self.source_counts / self.source_counts.sum())[self.sources].float()

    @property
    def kinds(self) -> Tensor:
        """``sources``, by its earlier name."""
        return self.sources


@dataclass(frozen=True, eq=False)
class Sequences:
    """A batch of R sequences over a batch of B prompts, right-padded to T tokens.

    ``tokens`` is int64 [R, T], ``lengths`` int64 [R] (0 is allowed: nothing is scored), ``sources`` int64
    [R] with values of `Source`. R is B times ``per_prompt``, and row r belongs to prompt r // per_prompt. What
    stands in the padding does not matter. A sequence's end-of-sequence token is part of it. ``values`` are tensors
    [R, T, ...] by name, which `with_values` attaches.
    """

    tokens: Tensor
    lengths: Tensor
    sources: Tensor
    per_prompt: int = 1
    values: Mapping[str, Tensor] = field(default_factory=dict)

    @staticmethod
    @earlier_name("kind", "source")
    def of(rows: list[list[int]], source: Source, pad: int = 0) -> Sequences:
        """Make sequences of one source from lists of token ids, one list per prompt."""
        width = max((len(row) for row in rows), default=0)
        padded = [row + [pad] * (width - len(row)) for row in rows]
        return Sequences(
            torch.tensor(padded, dtype=torch.long).reshape(len(rows), width),
            torch.tensor([len(row) for row in rows], dtype=torch.long),
            torch.full((len(rows),), int(source), dtype=torch.long),
        )

    def beside(self, other: Sequences) -> Sequences:
        """Put another batch over the same prompts beside this one: a prompt keeps the sequences of both."""
        first, second = self._padded_like(other), other._padded_like(self)
        prompts = first.tokens.shape[0] // first.per_prompt
        names = first._names_as_in(second)

        def interleave(a: Tensor, b: Tensor) -> Tensor:
            of_first = a.reshape(prompts, first.per_prompt, *a.shape[1:])
            of_second = b.reshape(prompts, second.per_prompt, *b.shape[1:])
            return torch.cat([of_first, of_second], dim=1).flatten(0, 1)

        return Sequences(
            interleave(first.tokens, second.tokens),
            interleave(first.lengths, second.lengths),
            interleave(first.sources, second.sources),
            first.per_prompt + second.per_prompt,
            {name: interleave(first.values[name], second.values[name]) for name in names},
        )

    @property
    def kinds(self) -> Tensor:
        """``sources``, by its earlier name."""
        return self.sources

    @property
    def mask(self) -> Tensor:
        """Bool [R, T]: True where a token is part of its sequence."""
        positions = torch.arange(self.tokens.shape[1], device=self.tokens.device)
        return positions < self.lengths[:, None]

    @property
    def scored(self) -> ScoredTokens:
        """All tokens of all sequences, row by row, counted as if they were all of the optimizer step's."""
        rows, positions = self.mask.nonzero(as_tuple=True)
        return ScoredTokens(
            self.tokens[rows, positions],
            self.sources[rows],
            self.source_counts,
            rows,
            positions,
            {name: value[rows, positions] for name, value in self.values.items()},
        )

    @property
    def source_counts(self) -> Tensor:
        """Int64 [number of sources]: the tokens of all sequences of each source."""
        return torch.stack([(self.lengths * (self.sources == source)).sum() for source in Source])

    def with_values(self, **values: Tensor) -> Sequences:
        """The same sequences with a tensor [R, T, ...] a name, which says something of each token.

        The divergence is given those of its tokens in ``tokens.values``. What stands in the padding does not matter.

        Raises:
            ValueError: a tensor is not of the sequences' shape.
        """
        for name, value in values.items():
            if value.shape[:2] != self.tokens.shape:
                raise ValueError(
                    f"the values {name!r} are to be one for each token, {list(self.tokens.shape)}, not {list(value.shape)}"
                )
        return replace(self, values={**self.values, **values})

    @earlier_name("kind", "source")
    def rewritten(self, tokens: Tensor, source: Source) -> Sequences:
        """The same shape with other tokens (int64 [R, T]), from that source. Their values are to be attached anew."""
        return Sequences(tokens, self.lengths, torch.full_like(self.sources, int(source)), self.per_prompt)

    def where(self, rows: Tensor, other: Sequences) -> Sequences:
        """Take the rows marked in ``rows`` (bool [R]) from this batch and all others from ``other``."""
        mine, theirs = self._padded_like(other), other._padded_like(self)

        def choose(a: Tensor, b: Tensor) -> Tensor:
            return a.where(rows.reshape(-1, *[1] * (a.dim() - 1)), b)

        return Sequences(
            choose(mine.tokens, theirs.tokens),
            choose(mine.lengths, theirs.lengths),
            choose(mine.sources, theirs.sources),
            self.per_prompt,
            {name: choose(mine.values[name], theirs.values[name]) for name in mine._names_as_in(theirs)},
        )

    def followed_by(self, other: Sequences) -> Sequences:
        """The sequences of this batch's prompts and then those of another's, as many of each prompt."""
        mine, theirs = self._padded_like(other), other._padded_like(self)
        return Sequences(
            torch.cat([mine.tokens, theirs.tokens]),
            torch.cat([mine.lengths, theirs.lengths]),
            torch.cat([mine.sources, theirs.sources]),
            self.per_prompt,
            {name: torch.cat([mine.values[name], theirs.values[name]]) for name in mine._names_as_in(theirs)},
        )

    def of_prompts(self, prompts: Tensor) -> Sequences:
        """The sequences of some prompts, in the order of ``prompts`` (int64 [any number], each from 0 to B - 1)."""
        within = torch.arange(self.per_prompt, device=prompts.device)
        rows = (prompts[:, None] * self.per_prompt + within).flatten()
        return self._map(lambda tensor: tensor[rows])

    def to(self, device: torch.device | str) -> Sequences:
        """The same sequences on another device."""
        return self._map(lambda tensor: tensor.to(device))

    def detach(self) -> Sequences:
        """The same sequences, whose values have no gradients."""
        return self._map(torch.Tensor.detach)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Sequences:
        return Sequences(
            function(self.tokens),
            function(self.lengths),
            function(self.sources),
            self.per_prompt,
            {name: function(value) for name, value in self.values.items()},
        )

    def _padded_like(self, other: Sequences) -> Sequences:
        missing = other.tokens.shape[1] - self.tokens.shape[1]
        if missing <= 0:
            return self

        def pad(tensor: Tensor) -> Tensor:
            return torch.nn.functional.pad(tensor, (*[0, 0] * (tensor.dim() - 2), 0, missing))

        return replace(
            self, tokens=pad(self.tokens), values={name: pad(value) for name, value in self.values.items()}
        )

    def _names_as_in(self, other: Sequences) -> list[str]:
        if self.values.keys() != other.values.keys():
            names = sorted(self.values.keys() ^ other.values.keys())
            raise RunError(
                f"the values {', '.join(map(repr, names))} are attached to one batch of sequences and not to the other: attach "
                "them to both, or to what is made of them"
            )
        return list(self.values)


ScoredTokens.__init__ = earlier_name("kinds", "sources")(ScoredTokens.__init__)  # type: ignore[method-assign]
Sequences.__init__ = earlier_name("kinds", "sources")(Sequences.__init__)  # type: ignore[method-assign]
