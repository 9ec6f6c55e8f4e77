"""What the processes of a training tell each other beside gradients."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TypeVar

import torch

_Item = TypeVar("_Item")


def of_all_processes(items: Sequence[_Item]) -> list[_Item]:
    """The items of all processes, in the processes' order. All must ask at once."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return list(items)
    gathered: list[list[_Item]] = [[] for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(gathered, list(items))
    return list(chain.from_iterable(gathered))
