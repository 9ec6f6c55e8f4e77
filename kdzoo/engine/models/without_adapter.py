"""A model for the length of a block without its adapter: the base that the adapter was put on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer


class WithoutAdapter:
    """Blocks in which a model computes what its base does; its weights stay as they are, and stay trainable."""

    def __init__(self, model: PeftModel) -> None:
        self._layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
        self._trains = [(p, p.requires_grad) for layer in self._layers for p in layer.parameters()]

    @contextmanager
    def block(self) -> Iterator[None]:
        """Turn the adapter off for the length of a block."""
        # as peft's own disable_adapter, which looks at every module of the model first: that takes longer than a token
        for layer in self._layers:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in self._layers:
                layer.enable_adapters(True)
            for parameter, trains in self._trains:  # peft lets all that it turns on be trained
                parameter.requires_grad_(trains)
