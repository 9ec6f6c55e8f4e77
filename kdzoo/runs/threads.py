"""How many threads of the processor a stage computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from kdzoo.engine.models.loading import count_parameters

# Matrices of smaller models are multiplied faster than threads are started and waited for. Larger ones gain by threads
# on cores of their own (176 thousand parameters: 29 ms a step on two, 45 on one); where other programs use the same
# cores, each wait costs a scheduler's time slice, and fewer threads are faster.
_SMALL = 100_000


@contextmanager
def threads_for(model: torch.nn.Module, wanted: int | None) -> Iterator[int]:
    """Compute with so many threads in a block, and as before after it.

    Unless a number is ``wanted``, a model of less than 100 thousand parameters gets one thread, and any other what torch
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
