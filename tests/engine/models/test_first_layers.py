"""A deep model is looked at with its first layers alone, and is whole again afterwards."""

import pytest
import torch
from torch import nn

from kdzoo.engine.models.first_layers import first_layers

TOKENS = torch.tensor([[3, 4, 5, 6]])


def layers_of(model):
    return model.get_base_model().model.layers if hasattr(model, "peft_config") else model.model.layers


def kept_of(model):
    """How many layers it has in the block; None if it stays whole."""
    with first_layers(model) as is_short:
        count = len(layers_of(model))
        assert model.config.num_hidden_layers == count
        model(TOKENS)
        return count if is_short else None


@pytest.mark.parametrize("lora", [False, True])
def test_layers_of_one_kind_are_two_and_afterwards_all_is_as_it_was(make_model, lora):
    model = make_model("qwen2", num_hidden_layers=5, lora=lora).eval()
    names, config, logits = list(model.state_dict()), model.config.to_dict(), model(TOKENS).logits
    with first_layers(model) as is_short:
        assert is_short
        assert len(layers_of(model)) == len(model.config.layer_types) == 2
        assert model.config.num_hidden_layers == 2
        assert not torch.equal(model(TOKENS).logits, logits)
    assert (list(model.state_dict()), model.config.to_dict()) == (names, config)
    assert torch.equal(model(TOKENS).logits, logits)


def test_what_they_compute_is_what_a_model_of_so_many_layers_does(make_model):
    model, small = make_model("llama", num_hidden_layers=5).eval(), make_model("llama", num_hidden_layers=2)
    weights = model.state_dict()
    small.load_state_dict({name: weights[name] for name in small.state_dict()})
    with first_layers(model):
        assert torch.equal(model(TOKENS).logits, small.eval()(TOKENS).logits)


def test_each_kind_of_layer_is_among_them(make_model):
    assert kept_of(make_model("gemma2", num_hidden_layers=6)) == 2  # every other one has a window
    kinds = ["full_attention"] * 3 + ["sliding_attention", "full_attention", "full_attention"]
    by_settings = make_model(
        "qwen2", num_hidden_layers=6, layer_types=kinds, use_sliding_window=True, sliding_window=8
    )
    assert kept_of(by_settings) == 4
    by_modules = make_model("llama", num_hidden_layers=6)
    by_modules.model.layers[2].mlp.act_fn = nn.GELU()
    assert kept_of(by_modules) == 3
    by_an_attribute = make_model("llama", num_hidden_layers=6)
    by_an_attribute.model.layers[3].self_attn.scaling = 0.5
    assert kept_of(by_an_attribute) == 4
    by_tensors = make_model("llama", num_hidden_layers=6)
    by_tensors.model.layers[4].self_attn.q_proj.bias = nn.Parameter(torch.zeros(32))
    assert kept_of(by_tensors) == 5


def test_a_model_that_needs_all_or_cannot_be_told_apart_stays_whole(make_model):
    assert kept_of(make_model("llama")) is None
    last_is_other = make_model("llama", num_hidden_layers=4)
    last_is_other.model.layers[3].mlp.act_fn = nn.GELU()
    assert kept_of(last_is_other) is None
    two_stacks = make_model("llama", num_hidden_layers=4)
    two_stacks.model.others = nn.ModuleList(nn.Identity() for _ in range(4))
    assert kept_of(two_stacks) is None


def test_an_error_leaves_it_whole(make_model):
    model = make_model("llama", num_hidden_layers=4)
    with pytest.raises(RuntimeError, match="here"), first_layers(model):
        raise RuntimeError("here")
    assert len(model.model.layers) == model.config.num_hidden_layers == 4
