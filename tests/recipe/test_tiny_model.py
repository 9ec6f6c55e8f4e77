"""Small models of the architectures that a recipe names, whatever these call their sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from kdzoo.recipe import ModelConfig
from kdzoo.recipe.tiny_model import tiny_model


def in_folder(folder: Path, family: str) -> ModelConfig:
    (folder / "config.json").write_text(json.dumps({"model_type": family}))
    return ModelConfig(path=str(folder))


def built(model: ModelConfig) -> Any:
    settings = dict(model.from_scratch or {})
    config = AutoConfig.for_model(
        settings.pop("architecture"),
        vocab_size=300,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        **settings,
    )
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize(
    "family",
    ["phi3", "olmo2", "falcon", "opt", "mpt", "bloom", "gpt_bigcode", "smollm3", "gemma3_text", "qwen3"],
)
@pytest.mark.parametrize("given", ["a folder", "from scratch"])
def test_any_usual_architecture_is_kept_and_small(tmp_path: Path, family: str, given: str) -> None:
    model = (
        in_folder(tmp_path, family)
        if given == "a folder"
        else ModelConfig(from_scratch={"architecture": family, "vocab_size": 7})
    )
    tiny = built(tiny_model(model, width=32))
    assert tiny.config.model_type == family
    assert (tiny.config.hidden_size, tiny.config.num_hidden_layers) == (32, 2)
    assert tiny.config.num_attention_heads == 4
    assert sum(weight.numel() for weight in tiny.parameters()) < 500_000


# a model of images and text, latent attention, layers without a key-value cache, an encoder, and none at all
@pytest.mark.parametrize("family", ["gemma3", "deepseek_v3", "jamba", "qwen3_next", "bart", "something_new"])
def test_a_llama_stands_in_for_what_the_usual_sizes_do_not_make_small(tmp_path: Path, family: str) -> None:
    tiny = built(tiny_model(in_folder(tmp_path, family), width=64))
    assert tiny.config.model_type == "llama"
    assert (tiny.config.hidden_size, tiny.config.num_hidden_layers) == (64, 2)


def test_such_a_model_from_scratch_keeps_its_settings_but_for_its_layers() -> None:
    own = {"architecture": "deepseek_v3", "hidden_size": 48, "num_hidden_layers": 9, "kv_lora_rank": 8}
    assert tiny_model(ModelConfig(from_scratch=own), 32).from_scratch == {**own, "num_hidden_layers": 2}
    named = {"architecture": "gpt_neo", "num_layers": 9, "hidden_size": 16}
    assert tiny_model(ModelConfig(from_scratch=named), 32).from_scratch == {**named, "num_layers": 2}
    unknown = {"architecture": "lama", "hidden_size": 48}
    assert tiny_model(ModelConfig(from_scratch=unknown), 32).from_scratch == unknown
