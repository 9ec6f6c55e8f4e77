"""Target-shaped token sequences, and the tokens of them that are scored."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kdzoo.errors import RunError
from kdzoo.methods.earlier_names import earlier_name
from kdzoo.methods.source import Source

__all__ = ["ScoredTokens", "Sequences", "Source"]


@dataclass(frozen=True, eq=False)
class ScoredTokens:
    """N scored tokens in row-major order: each one's id and the source of the sequence that it stands in.

    ``ids`` and ``sources`` are int64 tensors of shape [N]; ``sources`` holds values of `Source`. ``source_counts`` int64
    [number of sources] are the scored tokens of each source in the whole optimizer step: in all parts of its batch, over
    all processes. None where the core has not counted them.
    """

    ids: Tensor
    sources: Tensor
    source_counts: Tensor | None = None

    def __len__(self) -> int:
        return self.ids.shape[0]

    def __getitem__(self, part: slice) -> ScoredTokens:
        return ScoredTokens(self.ids[part], self.sources[part], self.source_counts)

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
    stands in the padding does not matter. A sequence's end-of-sequence token is part of it.
    """

    tokens: Tensor
    lengths: Tensor
    sources: Tensor
    per_prompt: int = 1

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

        def interleave(a: Tensor, b: Tensor) -> Tensor:
            of_first = a.reshape(prompts, first.per_prompt, *a.shape[1:])
            of_second = b.reshape(prompts, second.per_prompt, *b.shape[1:])
            return torch.cat([of_first, of_second], dim=1).flatten(0, 1)

        return Sequences(
            interleave(first.tokens, second.tokens),
            interleave(first.lengths, second.lengths),
            interleave(first.sources, second.sources),
            first.per_prompt + second.per_prompt,
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
        mask = self.mask
        sources = self.sources[:, None].expand_as(mask)[mask]
        return ScoredTokens(self.tokens[mask], sources, self.source_counts)

    @property
    def source_counts(self) -> Tensor:
        """Int64 [number of sources]: the tokens of all sequences of each source."""
        return torch.stack([(self.lengths * (self.sources == source)).sum() for source in Source])

    @earlier_name("kind", "source")
    def rewritten(self, tokens: Tensor, source: Source) -> Sequences:
        """The same shape with other tokens (int64 [R, T]), from that source."""
        return Sequences(tokens, self.lengths, torch.full_like(self.sources, int(source)), self.per_prompt)

    def where(self, rows: Tensor, other: Sequences) -> Sequences:
        """Take the rows marked in ``rows`` (bool [R]) from this batch and all others from ``other``."""
        mine, theirs = self._padded_like(other), other._padded_like(self)
        return Sequences(
            mine.tokens.where(rows[:, None], theirs.tokens),
            mine.lengths.where(rows, theirs.lengths),
            mine.sources.where(rows, theirs.sources),
            self.per_prompt,
        )

    def to(self, device: torch.device | str) -> Sequences:
        """The same sequences on another device."""
        return Sequences(
            self.tokens.to(device), self.lengths.to(device), self.sources.to(device), self.per_prompt
        )

    def _padded_like(self, other: Sequences) -> Sequences:
        missing = other.tokens.shape[1] - self.tokens.shape[1]
        if missing <= 0:
            return self
        tokens = torch.nn.functional.pad(self.tokens, (0, missing))
        return Sequences(tokens, self.lengths, self.sources, self.per_prompt)


ScoredTokens.__init__ = earlier_name("kinds", "sources")(ScoredTokens.__init__)  # type: ignore[method-assign]
Sequences.__init__ = earlier_name("kinds", "sources")(Sequences.__init__)  # type: ignore[method-assign]
