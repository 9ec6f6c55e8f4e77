"""How far two computations of a model may be apart because its numbers are rounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def rounding_anew(model: nn.Module) -> Iterator[None]:
    """Move every number that a module of the model gives by up to half a unit in its last place, at random.

    Another order of summing does the same to the same numbers. So what this does to the logits is what two right
    ways of computing them may differ by, in this model's precision and with these weights.
    """
    generators: dict[torch.device, torch.Generator] = {}

    def move(module: nn.Module, given: Any, output: Any) -> Any:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return None
        generator = generators.setdefault(output.device, torch.Generator(output.device).manual_seed(0))
        by = torch.rand(output.shape, generator=generator, device=output.device) - 0.5
        return output + (output.float() * by * torch.finfo(output.dtype).eps).to(output.dtype)

    leaves = [module for module in model.modules() if next(module.children(), None) is None]
    handles = [leaf.register_forward_hook(move) for leaf in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def distance(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """How far logits are apart: of the rows ([n, V] each) the worst, and of a row's tokens the one in the middle.

    Each token's difference is relative to the size of its logits; a constant that is added to all of them is nothing.
    Where experts are chosen, rounding may choose another one for a token or two: a fault moves most of a row.
    """
    worst = 0.0
    for one, other in zip(ours, theirs, strict=True):
        centred = other - other.mean(-1, keepdim=True)
        difference = one - other
        difference = difference - difference.mean(-1, keepdim=True)
        relative = difference.norm(dim=-1) / centred.norm(dim=-1).clamp_min(1e-12)
        middle = float(relative.median())
        worst = max(worst, middle if middle == middle else float("inf"))
    return worst
