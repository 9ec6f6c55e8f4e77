"""Models and adapters written for other programs. What a run's export makes of them: tests/runs/export/test_export.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from kdzoo.engine.models import exported
from kdzoo.engine.models.exported import copy_base, save_adapter, save_whole, whole_model
from kdzoo.errors import UserError


def saved_adapter(make_model, folder: Path, targets: list[str], **settings) -> Path:
    """An adapter of random numbers, beside its base."""
    make_model("llama", **settings).save_pretrained(folder / "base")
    base = AutoModelForCausalLM.from_pretrained(folder / "base")
    model = get_peft_model(base, LoraConfig(r=2, target_modules=targets, task_type="CAUSAL_LM"))
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, 0, 0.5)
    model.save_pretrained(folder / "model")
    return folder / "model"


def logits(model):
    with torch.no_grad():
        return model.eval()(torch.tensor([[1, 5, 9, 30, 7]])).logits


def test_tied_embeddings_stay_tied(make_model, tmp_path):
    adapter = saved_adapter(make_model, tmp_path, ["q_proj"], tie_word_embeddings=True)
    save_whole(whole_model(adapter, "float32"), tmp_path / "out")
    assert "lm_head.weight" not in load_file(tmp_path / "out" / "model.safetensors")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["tie_word_embeddings"] is True


def test_unless_the_adapter_parts_them(make_model, tmp_path):
    adapter = saved_adapter(make_model, tmp_path, ["lm_head"], tie_word_embeddings=True)
    whole = whole_model(adapter, "float32")
    save_whole(whole, tmp_path / "out")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert loaded.config.tie_word_embeddings is False
    assert torch.equal(logits(loaded), logits(whole))


def test_weights_beyond_a_type_are_refused(make_model, tmp_path):
    model = make_model("llama")
    with torch.no_grad():
        model.model.norm.weight[0] = 1e5
    model.save_pretrained(tmp_path / "model")
    with pytest.raises(
        UserError, match=r"model\.norm\.weight has weights beyond what float16 can hold \(65504\)"
    ):
        whole_model(tmp_path / "model", "float16")
    assert whole_model(tmp_path / "model", "bfloat16").dtype == torch.bfloat16


def test_those_of_an_adapter_too(make_model, tmp_path):
    adapter = saved_adapter(make_model, tmp_path, ["q_proj"])
    weights = load_file(adapter / "adapter_model.safetensors")
    name = next(iter(weights))
    weights[name][0] = 1e5
    save_file(weights, adapter / "adapter_model.safetensors")
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="beyond what float16 can hold"):
        save_adapter(adapter, tmp_path / "out", "base", None, "float16")


def test_a_quantised_base_is_not_merged_into(make_model, tmp_path, monkeypatch):
    adapter = saved_adapter(make_model, tmp_path, ["q_proj"])

    def quantised(*arguments, **settings):
        model = make_model("llama")
        model.config.quantization_config = {"quant_method": "gptq"}
        return model

    monkeypatch.setattr(exported, "load_pretrained", quantised)
    with pytest.raises(UserError, match="its base is quantised"):
        whole_model(adapter, "float32")


def test_no_configuration_says_where_it_was_read(make_model, tmp_path):
    model = make_model("llama")
    model.config._model_name_or_path = str(tmp_path / "model")
    save_whole(model, tmp_path / "out")
    model.save_pretrained(tmp_path / "base")
    assert str(tmp_path) in (tmp_path / "base" / "config.json").read_text()
    copy_base(tmp_path / "base", tmp_path / "copy")
    for name in ("out", "copy"):
        assert str(tmp_path) not in (tmp_path / name / "config.json").read_text()
