"""What a method itself trains or keeps: made before training, and saved and resumed with its checkpoints."""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import numpy
import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel

from kdzoo.engine.models.decoder_and_head import vocabulary_of
from kdzoo.engine.training.chosen_method import ChosenMethod
from kdzoo.errors import RunError
from kdzoo.methods.step import ModelShape, SetupContext

_FILE = "method_state.pt"


def shape_of(model: PreTrainedModel | PeftModel) -> ModelShape:
    """The sizes of a model that a method may need to know."""
    config = model.config.get_text_config()
    return ModelShape(config.hidden_size, vocabulary_of(model), config.num_hidden_layers)


def make_state(method: ChosenMethod, context: SetupContext, seed: int) -> nn.Module | None:
    """Let the method set itself up. What it draws from the global random generators depends on the seed alone.

    Raises:
        RunError: the method gave something else than a module or None.
    """
    python, of_numpy = random.getstate(), numpy.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        numpy.random.seed(seed % (1 << 32))
        try:
            state = method.hooks.setup(context=context, options=method.options)
        finally:
            random.setstate(python)
            numpy.random.set_state(of_numpy)
    if state is not None and not isinstance(state, nn.Module):
        raise RunError(
            f"setup of method {method.name!r} must give a torch.nn.Module or None, not {type(state).__name__}"
        )
    return state


def save_state(state: nn.Module | None, folder: Path) -> None:
    """Write what a method keeps into a checkpoint, if it keeps anything."""
    if state is not None:
        torch.save(state.state_dict(), folder / _FILE)


def load_state(state: nn.Module | None, folder: Path) -> None:
    """Give what a method keeps the content that it had at a checkpoint.

    Raises:
        RunError: the checkpoint has none, or another.
    """
    if state is None:
        return
    try:
        # nothing but tensors, numbers, texts and containers of them is read: no code
        state.load_state_dict(torch.load(folder / _FILE, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
        why = str(error).partition("\n")[0]
        raise RunError(f"{folder / _FILE}: what the method keeps cannot be read: {why}") from None
