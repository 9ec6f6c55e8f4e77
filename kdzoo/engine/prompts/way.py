"""The ways in which a model can be run over a batch's prompts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from kdzoo.engine.prompts.prefix_groups import PrefixGroups


@dataclass(frozen=True)
class PrefixCached:
    """Each prompt is read once (`kdzoo.engine.prompts.prefix_cached`).

    ``packs``: several sequences after one prompt may stand in one row. ``widest``: the columns that prompt and
    sequences may take, padding included, where the model counts them (a window does); a batch that is wider shares
    no beginnings. ``repeatable``: training mode gives the numbers of eval mode. ``in_step``: the model is run as often, layer by
    layer, whatever the batch, as processes must that have a part each of its weights.
    """

    packs: bool = False
    widest: int | None = None
    repeatable: bool = False
    in_step: bool = False

    def fits(self, groups: PrefixGroups, output: int) -> bool:
        """Whether sequences of ``output`` tokens can follow prompts in such groups."""
        return self.widest is None or groups.width + output <= self.widest


@dataclass(frozen=True)
class Full:
    """Prompt and sequence are run together every time (`kdzoo.engine.prompts.full_forward`).

    ``rows_at_once``: None for all rows of a batch, padded; 1 for each row by itself. ``caches``: what has been read is
    kept while a sequence is generated.
    """

    rows_at_once: int | None = None
    caches: bool = True


Way = PrefixCached | Full

Sharing = Literal["on", "prompt", "off"]
"""What a run asks for: beginnings and prompts are read once, prompts alone, or nothing is shared."""


def in_step(way: Way) -> Way | None:
    """The same way, run as often whatever the batch; None if that cannot be had."""
    if isinstance(way, Full):
        return way if way.rows_at_once is None else None
    # whether a packed row is too wide depends on the batch
    return replace(way, in_step=True, packs=way.packs and way.widest is None)
