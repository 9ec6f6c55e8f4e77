"""Eval mode for the length of a block, and whether training mode is another thing at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

# Settings of heads that a causal language model does not have; some are set in every configuration of a family.
_OF_OTHER_HEADS = ("classifier", "summary")


@contextmanager
def evaluating(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Run a block in eval mode without gradients, and put each module back into its own mode after it.

    ``modules`` are all modules of a model, as ``model.modules()`` gives them.
    """
    training = [module for module in modules if module.training]
    for module in training:
        module.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def mentions_dropout(model: nn.Module) -> bool:
    """Say whether a module or the configuration of a model speaks of dropout.

    Many architectures have no module for it and hand a number of the configuration to a function. Every number whose
    name has "drop" in it counts, whatever the architecture calls it, also in configurations inside the configuration.
    """
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules()):
        return True
    config = getattr(model, "config", None)
    return config is not None and _has_dropout(config.to_dict())


def _has_dropout(settings: Mapping[Any, Any]) -> bool:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            if _has_dropout(value):
                return True
        elif "drop" in str(name) and not str(name).startswith(_OF_OTHER_HEADS):
            # rates may be listed, one for each layer
            rates = value if isinstance(value, (list, tuple)) else [value]
            if any(isinstance(rate, (int, float)) and rate > 0 for rate in rates):
                return True
    return False
