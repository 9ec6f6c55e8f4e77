"""What a method prepares of each prompt before training, checked as it comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from kdzoo.engine.prompts.batches import Batch
from kdzoo.errors import RunError


def checked(method: str, given: Any, batch: Batch) -> dict[str, Tensor]:
    """What a method's ``prepare`` gave for a batch, if it is what it must be.

    Raises:
        RunError: it is no dictionary of tensors, or one has not a row for each prompt.
    """
    if not isinstance(given, Mapping):
        raise RunError(f"prepare of method {method!r} must give tensors by name, not {type(given).__name__}")
    prompts = len(batch.examples)
    for name, value in given.items():
        if not isinstance(value, Tensor) or value.dim() == 0 or value.shape[0] != prompts:
            found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise RunError(
                f"prepare of method {method!r}: {name!r} must be a tensor with a row for each of the {prompts} prompts, not "
                f"{found}"
            )
    return dict(given)
