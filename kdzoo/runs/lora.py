"""Adapters: the recipe's words for them as peft takes them, and the base that one was trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

import peft
from peft import PeftModel

from kdzoo.files import new_folder
from kdzoo.recipe.model_tables import LoraConfig


def take_base_along(model: PeftModel, base: Path, own: Path) -> None:
    """Copy an adapter's base to a folder of its stage's own, and let the adapter name that."""
    if not own.is_dir():
        with new_folder(own) as temporary:
            shutil.copytree(base, temporary, dirs_exist_ok=True)
    for adapter in model.peft_config.values():
        adapter.base_model_name_or_path = str(own.resolve())


def as_peft_s(lora: LoraConfig, revision: str | None = None) -> peft.LoraConfig:
    """The recipe's words for an adapter as peft takes them. ``revision`` is that of its base on a model hub."""
    targets = lora.target_modules
    return peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
        revision=revision,
    )
