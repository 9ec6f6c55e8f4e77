"""A deep model with its first layers alone, for as long as it is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel

from kdzoo.engine.models.adapters import base_model
from kdzoo.engine.models.kept_layers import has_one_for_each, name_of_count, stack_of_layers
from kdzoo.errors import UserError

# What a layer feeds shows in the next one.
_FEWEST = 2
# How modules call their layer's number: the only thing in which layers of one kind differ.
_NUMBERS = frozenset({"layer_idx", "layer_id", "layer_index", "layer_number", "block_idx", "block_index"})


@contextmanager
def first_layers(model: PreTrainedModel | PeftModel) -> Iterator[bool]:
    """Within the block a model has its first layers alone: as few as have every kind of its layers among them.

    Gives whether it has: a model whose layers cannot be told apart, or are all needed, stays whole. Afterwards all is as
    it was.
    """
    inner = base_model(model)
    config = inner.config.get_text_config()
    try:
        name, _ = stack_of_layers(inner)
    except (UserError, AttributeError):
        yield False
        return
    stack = inner.get_submodule(name)
    layers, settings = list(stack.children()), dict(vars(config))
    of_each = {key: value for key, value in settings.items() if has_one_for_each(value, len(layers))}
    kinds = [_kind(layer, [value[n] for value in of_each.values()]) for n, layer in enumerate(layers)]
    needed = max(_FEWEST, 1 + max(kinds.index(kind) for kind in kinds))
    if needed >= len(layers):
        yield False
        return
    modules = dict(stack._modules)
    try:
        for place in list(modules)[needed:]:
            del stack._modules[place]
        # not by attributes: a configuration may refuse what does not fit for the moment
        vars(config).update({key: value[:needed] for key, value in of_each.items()})
        vars(config)[name_of_count(config)] = needed
        yield True
    finally:
        stack._modules.clear()
        stack._modules.update(modules)
        vars(config).clear()
        vars(config).update(settings)


def _kind(layer: nn.Module, settings: list[Any]) -> tuple[Any, ...]:
    """What a layer computes, as far as its modules, their plain attributes, its tensors and its own settings say."""
    plain = [
        (name, key, value)
        for name, module in layer.named_modules()
        for key, value in sorted(vars(module).items())
        if isinstance(value, bool | int | float | str | None) and key not in _NUMBERS
    ]
    named = (*layer.named_parameters(), *layer.named_buffers())
    tensors = [(name, tensor.shape, tensor.dtype) for name, tensor in named]
    return repr(layer), plain, tensors, repr(settings)
