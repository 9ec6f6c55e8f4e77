"""The exponential moving average of a model's trained weights, and the model with these for the length of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kdzoo.errors import RunError

_FILE = "average.safetensors"


class AveragedWeights:
    """A copy of a model's trained weights that follows them slowly: a <- d a + (1 - d) w at each update, d the ``decay``.

    It begins as the weights are. Each average has its weight's type: those that are trained are kept in float32.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 <= decay <= 1:
            raise RunError(f"Options.average_decay must be a number from 0 to 1, not {decay}")
        self._decay = decay
        # by the modules that have them: tied weights are one parameter in several places
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        self._places = [
            (names[id(parameter)], module, own_name)
            for module in model.modules()
            for own_name, parameter in module.named_parameters(recurse=False)
            if parameter.requires_grad
        ]
        self._averages = {
            name: nn.Parameter(weight.detach().clone(), requires_grad=False)
            for name, weight in self._weights().items()
        }

    @torch.no_grad()
    def update(self) -> None:
        """Move the averages towards what the weights are now."""
        for name, weight in self._weights().items():
            self._of(name, weight).lerp_(weight, 1 - self._decay)

    @contextmanager
    def block(self) -> Iterator[None]:
        """Give the model the averages for the length of a block. Its weights are not touched, nor what autograd knows of them."""
        weights = self._weights()
        try:
            # other parameters take their places: autocast would take the same ones, changed, for what it has cast before
            for name, module, own_name in self._places:
                setattr(module, own_name, self._of(name, weights[name]))
            yield
        finally:
            for name, module, own_name in self._places:
                setattr(module, own_name, weights[name])

    def save(self, folder: Path) -> None:
        """Write the averages into a checkpoint."""
        save_file({name: average.data for name, average in self._averages.items()}, folder / _FILE)

    def load(self, folder: Path) -> None:
        """Take the averages from a checkpoint.

        Raises:
            RunError: it has none, or those of other weights.
        """
        try:
            saved = load_file(folder / _FILE)
        except (OSError, SafetensorError) as error:
            raise RunError(f"{folder / _FILE}: the average of the weights cannot be read: {error}") from None
        shapes, wanted = (
            {name: tensor.shape for name, tensor in some.items()} for some in (saved, self._averages)
        )
        if shapes != wanted:
            raise RunError(f"{folder / _FILE}: has the average of other weights than are trained")
        with torch.no_grad():
            for name, average in self._averages.items():
                average.copy_(saved[name])

    def _weights(self) -> dict[str, nn.Parameter]:
        return {name: getattr(module, own_name) for name, module, own_name in self._places}

    def _of(self, name: str, weight: Tensor) -> nn.Parameter:
        """The average of a weight, where the weight is: a model may have been moved."""
        average = self._averages[name]
        if average.device != weight.device:
            average.data = average.data.to(weight.device)
        return average
