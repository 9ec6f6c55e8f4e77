"""Models that can be run and take no memory: their tensors have shapes, types and a device, and no numbers."""

from __future__ import annotations

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import PreTrainedModel


def shadow_of(model: PreTrainedModel | PeftModel, device: str = "cpu") -> PreTrainedModel | PeftModel:
    """Let a model that was built on torch's meta device take part in computations as if it lay on ``device``.

    It is changed in place. What it gives has no numbers either; tokens, masks and positions that it is given may be
    ordinary tensors. Tied weights stay tied, and what is trained stays trained.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    made: dict[int, Tensor] = {}

    def on_device(tensor: Tensor) -> Tensor:
        if id(tensor) not in made:
            with mode:
                like = torch.empty(tuple(tensor.shape), dtype=tensor.dtype, device=device)
                is_weight = isinstance(tensor, nn.Parameter)
                made[id(tensor)] = nn.Parameter(like, tensor.requires_grad) if is_weight else like
        return made[id(tensor)]

    for module in model.modules():
        for kept in (module._parameters, module._buffers):
            for name, tensor in list(kept.items()):
                if tensor is not None:
                    kept[name] = on_device(tensor)
        # some architectures keep such tensors beside their buffers
        for name, value in list(vars(module).items()):
            if isinstance(value, Tensor) and value.device.type == "meta":
                setattr(module, name, on_device(value))
    return model
