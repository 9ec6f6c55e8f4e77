"""How the layers of a decoder are run behind a prompt's cache: with few copies, and with gradient checkpointing."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

# transformers' switch for keys and values whose heads several query heads share: they are then not repeated.
_SHARED_HEADS = "TRANSFORMERS_SDPA_FORCE_GQA"

# Who says that caching and checkpoints are incompatible.
_LAYERS_LOG = logging.getLogger("transformers.modeling_layers")


@contextmanager
def few_copies(device: torch.device) -> Iterator[None]:
    """Let attention with a mask read keys and values that query heads share as they are, where its kernel can.

    Repeated for every query head they would be kept for the backward pass, in each layer and for each use of the prompt. The
    numbers are the same. On a GPU no fast kernel takes both a mask and shared heads.
    """
    if device.type != "cpu":
        yield
        return
    before = os.environ.get(_SHARED_HEADS)
    os.environ[_SHARED_HEADS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SHARED_HEADS]
        else:
            os.environ[_SHARED_HEADS] = before


@dataclass(frozen=True)
class Checkpoints:
    """The layers of a model whose activations are computed again in the backward pass, and the modules that hold them.

    Without ``layers`` that have a checkpoint each, ``owners`` are modules that do it in a way of their own.
    """

    layers: tuple[GradientCheckpointingLayer, ...] = ()
    owners: tuple[nn.Module, ...] = ()

    @staticmethod
    def of(model: nn.Module) -> Checkpoints:
        """Those of a model in which gradient checkpointing is on; none otherwise."""
        on = [module for module in model.modules() if getattr(module, "gradient_checkpointing", False)]
        layers = tuple(module for module in on if isinstance(module, GradientCheckpointingLayer))
        return Checkpoints(layers, tuple(m for m in on if not isinstance(m, GradientCheckpointingLayer)))

    def why_not_beside_a_cache(self) -> str | None:
        """Why layers cannot be computed again behind a prompt's keys and values; None if they can, or need not."""
        if self.owners and not self.layers:
            return "its gradient checkpointing is of its own kind and keeps no key-value cache"
        return None

    @contextmanager
    def beside_a_cache(self, device: torch.device) -> Iterator[None]:
        """Run a decoder within this block with a cache that gives the same again (`kdzoo.engine.prompts.key_value_cache`).

        transformers leaves out the cache where it computes a layer again, for one that would take the same tokens twice.
        """
        before = [layer._gradient_checkpointing_func for layer in self.layers]
        again = partial(checkpoint, use_reentrant=False, context_fn=partial(_both_times, device))
        for layer in self.layers:
            layer._can_checkpoint_with_cache = True
            layer._gradient_checkpointing_func = again
        for owner in self.owners:
            owner.gradient_checkpointing = False  # type: ignore[assignment]
        _LAYERS_LOG.addFilter(_is_other_news)
        try:
            yield
        finally:
            _LAYERS_LOG.removeFilter(_is_other_news)
            for owner in self.owners:
                owner.gradient_checkpointing = True  # type: ignore[assignment]
            for layer, function in zip(self.layers, before, strict=True):
                del layer._can_checkpoint_with_cache
                layer._gradient_checkpointing_func = function


def _is_other_news(record: logging.LogRecord) -> bool:
    return "Caching is incompatible" not in record.getMessage()


def _both_times(device: torch.device) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What a layer is computed within the first time, which the block does, and when it is computed again."""
    return nullcontext(), few_copies(device)
