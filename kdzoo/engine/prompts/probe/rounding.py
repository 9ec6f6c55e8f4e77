"""How far two computations of a model may be apart because its numbers are rounded."""

from __future__ import annotations

import math
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

    def unit(output: Tensor) -> float:
        # float32 is multiplied in TF32 where that is allowed, and summed in float32
        in_tf32 = output.is_cuda and torch.backends.cuda.matmul.allow_tf32 and output.dtype == torch.float32
        return 2.0**-10 if in_tf32 else torch.finfo(output.dtype).eps

    def move(module: nn.Module, given: Any, output: Any) -> Any:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return None
        generator = generators.setdefault(output.device, torch.Generator(output.device).manual_seed(0))
        by = torch.rand(output.shape, generator=generator, device=output.device) - 0.5
        return output + (output.float() * by * unit(output)).to(output.dtype)

    leaves = [module for module in model.modules() if next(module.children(), None) is None]
    handles = [leaf.register_forward_hook(move) for leaf in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def distance(ours: Sequence[Tensor], theirs: Sequence[Tensor], quantile: float) -> float:
    """How far logits are apart: of the rows ([n, V] each) the worst, and of a row's tokens the one at ``quantile``.

    Each token's difference is relative to the size of its logits; a constant that is added to all of them is nothing.
    """
    worst = 0.0
    for one, other in zip(ours, theirs, strict=True):
        difference = _centred(one - other).norm(dim=-1) / _centred(other).norm(dim=-1).clamp_min(1e-12)
        of_row = float(difference.quantile(quantile, interpolation="lower"))
        worst = max(worst, math.inf if math.isnan(of_row) else of_row)
    return worst


def _centred(logits: Tensor) -> Tensor:
    return logits - logits.mean(-1, keepdim=True)
