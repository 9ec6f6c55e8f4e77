"""Eval mode is switched on whatever a model calls its dropout, and every module gets its own mode back."""

import pytest
import torch
from architectures import tiny
from peft import LoraConfig, get_peft_model

from kdzoo.engine.models.eval_mode import evaluating, mentions_dropout


def test_each_module_gets_its_own_mode_back(make_model):
    model = make_model("llama").train()
    frozen = model.model.layers[0]
    frozen.eval()
    modes = [module.training for module in model.modules()]
    assert len(set(modes)) == 2

    def fail():
        with evaluating(model.modules()):
            assert not any(module.training for module in model.modules())
            assert not torch.is_grad_enabled()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [module.training for module in model.modules()] == modes
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("opt", {"dropout": 0.1}),
        ("opt", {"attention_dropout": 0.1}),
        ("bloom", {"hidden_dropout": 0.1}),
        ("gpt2", {"resid_pdrop": 0.1}),
        ("mpt", {"attn_config": {"attn_pdrop": 1}}),
        ("llama", {"attention_dropout": 0.1}),
        ("bart", {"decoder_layerdrop": 0.1}),
    ],
)
def test_dropout_is_noticed_whatever_it_is_called(architecture, settings):
    assert not mentions_dropout(tiny(architecture))
    assert mentions_dropout(tiny(architecture, **settings))


def test_dropout_of_a_head_that_a_language_model_lacks_is_none():
    assert not mentions_dropout(tiny("gpt2", summary_first_dropout=0.1))


def test_dropout_of_an_adapter_is_noticed():
    config = LoraConfig(target_modules=["q_proj"], lora_dropout=0.1, task_type="CAUSAL_LM")
    assert mentions_dropout(get_peft_model(tiny("llama"), config))
