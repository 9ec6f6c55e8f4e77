"""What models have in common that compute alike, whatever their weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterator
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel

_NO_SETTINGS = frozenset({"_name_or_path", "architectures", "transformers_version"})


def likeness(model: PreTrainedModel | PeftModel) -> Hashable | None:
    """Equal for models of the same code, modules, configuration, dtypes and devices, under the same settings of torch.

    None for a model that somebody has hung something on: nothing is known of what it computes.
    """
    if not is_as_made(model):
        return None
    modules = list(model.modules())
    tensors = [*model.parameters(), *model.buffers()]
    device = tensors[0].device.type
    config = model.config
    described = {
        "modules": repr(model),
        "config": _settings(config.to_dict()),
        "attention": [config._attn_implementation, config.get_text_config()._attn_implementation],
        "checkpointing": [bool(getattr(module, "gradient_checkpointing", False)) for module in modules],
        "tensors": [(str(tensor.dtype), tensor.device.type, list(tensor.shape)) for tensor in tensors],
        "autocast": [torch.is_autocast_enabled(device), str(torch.get_autocast_dtype(device))],
        "tf32": torch.backends.cuda.matmul.allow_tf32,
    }
    text = json.dumps(described, sort_keys=True, default=str)
    # a class is asked for its method each time: it may have been given another one since
    code = frozenset((type(module), type(module).forward) for module in modules)
    return hashlib.sha256(text.encode()).hexdigest(), code


def _settings(config: Any) -> Any:
    """A configuration without where it was read from, and by what."""
    if not isinstance(config, dict):
        return config
    return {name: _settings(value) for name, value in config.items() if name not in _NO_SETTINGS}


def is_as_made(model: PreTrainedModel | PeftModel) -> bool:
    """Whether a model computes what its classes say: nobody has hung anything on a module."""
    return not any(_is_changed(module) for module in model.modules())


def _is_changed(module: nn.Module) -> bool:
    return "forward" in vars(module) or any(not _is_of_transformers(hook) for hook in _hooks(module))


def _hooks(module: nn.Module) -> Iterator[Any]:
    yield from module._forward_hooks.values()
    yield from module._forward_pre_hooks.values()


def _is_of_transformers(hook: Any) -> bool:
    """Whether it only keeps what passes by, as transformers does once it was asked for hidden states."""
    return getattr(hook, "__module__", "").startswith("transformers.")
