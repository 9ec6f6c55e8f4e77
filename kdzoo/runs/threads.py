"""How many threads of the processor a stage computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from kdzoo.engine.models.loading import count_parameters

# Matrices of smaller models are multiplied faster than threads are started and waited for; where other programs use
# the same cores, each wait costs a scheduler's time slice.
_SMALL = 2_000_000


@contextmanager
def threads_for(model: torch.nn.Module, wanted: int | None) -> Iterator[int]:
    """Compute with so many threads in a block, and as before after it.

    Unless a number is ``wanted``, a model of less than 2 million parameters gets one thread, and any other what torch
    takes by itself (all cores, or ``OMP_NUM_THREADS``). It is the model that is trained or evaluated that counts, so
    that all methods train a student with the same number.
    """
    before = torch.get_num_threads()
    number = wanted or (1 if count_parameters(model) < _SMALL else before)
    torch.set_num_threads(number)
    try:
        yield number
    finally:
        torch.set_num_threads(before)
