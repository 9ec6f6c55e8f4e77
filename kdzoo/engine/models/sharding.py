"""Weights that several devices have a part each of (FSDP2), and having them whole where that is needed.

A student is sharded by accelerate with all that trains it. Its layers, once gathered, stay so until the gradients are known
(ZeRO-2): how often a model is run in a step may differ between processes, how often it is gathered may not. A teacher's layers
are gathered for each run and freed after it (ZeRO-3): see `kdzoo.engine.prompts.way.PrefixCached.in_step`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from kdzoo.errors import RunError

_FREED_AFTER_USE: WeakSet[Any] = WeakSet()


def shard_layers(model: nn.Module, device: torch.device) -> None:
    """Spread the layers of a model that does not train over all processes; what is no layer goes to ``device`` whole.

    The model may lie in main memory: no more than one of its layers is whole on the device at a time.

    Raises:
        RunError: transformers does not say which of its modules are its layers.
    """
    kinds = set(getattr(model, "_no_split_modules", None) or ())
    layers = [module for module in model.modules() if type(module).__name__ in kinds]
    if not layers:
        raise RunError(f"{type(model).__name__} cannot be sharded: it does not say what its layers are")
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    for layer in layers:
        fully_shard(layer, mesh=mesh, reshard_after_forward=True)
        _FREED_AFTER_USE.add(layer)
    sharded = {id(weights) for layer in layers for weights in (*layer.parameters(), *layer.buffers())}
    for module in model.modules():
        for name, weights in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
            if id(weights) not in sharded:
                getattr(module, name).data = weights.data.to(device)


def is_sharded(model: nn.Module) -> bool:
    """Whether a model's weights are spread over several processes."""
    return any(isinstance(module, FSDPModule) for module in model.modules())


def keep_whole_in_step(module: nn.Module) -> None:
    """Let what accelerate has sharded stay whole from its first use in a step until `free` is called.

    Gradients reach a prompt's layers through their keys and values too, of which FSDP knows nothing: it would free weights
    that are still needed.
    """
    for part in _parts(module.modules()):
        part.set_reshard_after_forward(False, recurse=False)
        part.set_reshard_after_backward(False, recurse=False)


def free(module: nn.Module) -> None:
    """Keep no more than this process's part of what is sharded."""
    for part in _parts(module.modules()):
        part.reshard()


@contextmanager
def whole(module: nn.Module) -> Iterator[None]:
    """All weights of a module on this device for a block outside its forward pass. All processes must enter it."""
    for part in _parts(module.modules()):
        part.unshard()
    try:
        yield
    finally:
        free(module)


@contextmanager
def gathered(modules: Iterable[nn.Module]) -> Iterator[None]:
    """The same for those of some modules that are freed after each use, which they are not in the block."""
    parts = [part for part in _parts(modules) if part in _FREED_AFTER_USE]
    for part in parts:
        part.unshard()
        part.set_reshard_after_forward(False, recurse=False)
    try:
        yield
    finally:
        for part in parts:
            part.set_reshard_after_forward(True, recurse=False)
            part.reshard()


def whole_weights(model: nn.Module) -> dict[str, Tensor] | None:
    """The state dict of a sharded model, whole and in main memory; None if it is not sharded. All processes must ask."""
    if not any(isinstance(weights, DTensor) for weights in model.parameters()):
        return None
    return {
        name: (value.full_tensor() if isinstance(value, DTensor) else value).detach().cpu()
        for name, value in model.state_dict().items()
    }


def of_this_process(weights: Tensor) -> Tensor:
    """The part of a weight that is here."""
    return weights.to_local() if isinstance(weights, DTensor) else weights


def _parts(modules: Iterable[nn.Module]) -> list[FSDPModule]:
    return [module for module in modules if isinstance(module, FSDPModule)]
