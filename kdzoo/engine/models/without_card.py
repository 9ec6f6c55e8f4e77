"""Saving a model without the card that peft puts beside an adapter: a form that nobody has filled in."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub.constants import REPOCARD_NAME
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel


def save_without_card(
    model: PreTrainedModel | PeftModel, folder: Path, weights: dict[str, Tensor] | None = None
) -> None:
    """Save a model, or its adapter alone, in Hugging Face format. ``weights`` are its state dict, unless it is its own."""
    model.save_pretrained(str(folder), state_dict=weights)
    if isinstance(model, PeftModel):
        (folder / REPOCARD_NAME).unlink(missing_ok=True)
