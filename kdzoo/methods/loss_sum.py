"""An auxiliary loss that is a sum, what it is to be divided by, and one of several terms. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from torch import Tensor


Per: TypeAlias = Literal["target_token", "scored_token", "prompt"]
PER: tuple[Per, ...] = get_args(Per)


@dataclass(frozen=True, eq=False)
class LossSum:
    """What `aux_loss` gives where its loss is no mean over the ground truth's tokens.

    ``total`` is a scalar with gradients: the sum over this batch. The core divides it by the number of all things named in
    ``per``, over the whole optimizer step, whatever parts its batch is split into: the ground truth's tokens, the scored
    tokens (those of ``step.training_sequence``), or the prompts.
    """

    total: Tensor
    per: Per

    def __post_init__(self) -> None:
        """Refuse a name that the core does not know.

        Raises:
            ValueError: ``per`` is none of the three.
        """
        if self.per not in PER:
            raise ValueError(f"a LossSum is per {', '.join(PER[:-1])} or {PER[-1]}, not per {self.per!r}")


AuxLoss: TypeAlias = "Tensor | LossSum | Sequence[Tensor | LossSum] | None"
"""What `aux_loss` may give: nothing, one term, or several that are added up."""


def terms_of(given: AuxLoss) -> Sequence[Tensor | LossSum]:
    """The terms of an auxiliary loss."""
    if given is None:
        return ()
    return given if isinstance(given, list | tuple) else (given,)
