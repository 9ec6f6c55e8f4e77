"""A model cut to some of its layers computes what those layers compute, one after the other."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from kdzoo.engine.models.kept_layers import cut, cut_config, layers_to_keep
from kdzoo.errors import UserError

# where each architecture keeps its layers
STACKS = {
    "llama": ("model", "layers"),
    "qwen2": ("model", "layers"),
    "gemma2": ("model", "layers"),
    "codegen": ("transformer", "h"),
    "gpt_neox": ("gpt_neox", "layers"),
    "gpt2": ("transformer", "h"),
}
SIZES = {"codegen": {"n_positions": 64}}


def model_of(architecture, layers):
    names = AutoConfig.for_model(architecture)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "intermediate_size": 48,
    }
    extra = {"num_key_value_heads": 2, "head_dim": 8, "rotary_dim": 4, "sliding_window": 4, "vocab_size": 60}
    fitting = {n: v for n, v in {**sizes, **extra}.items() if hasattr(names, n)}
    config = AutoConfig.for_model(architecture, **fitting)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("architecture", STACKS)
@pytest.mark.parametrize("wanted", [2, (1, 3), (0,)], ids=str)
def test_its_logits_are_those_of_the_layers_alone(architecture, wanted):
    model = model_of(architecture, 4)
    ids = torch.arange(12)[None] % 50
    smaller = cut(model, wanted).eval()
    with torch.no_grad():
        logits = smaller(ids).logits
        decoder, stack = STACKS[architecture]
        layers = getattr(getattr(model, decoder), stack)
        kept = layers_to_keep(wanted, 4)
        # the same model with the other layers out of its list: its own loop goes over what is left
        setattr(getattr(model, decoder), stack, nn.ModuleList(layers[number] for number in kept))
        model.config = cut_config(model.config, wanted)
        getattr(model, decoder).config = model.config
        expected = model(ids, use_cache=False).logits
    torch.testing.assert_close(logits, expected, rtol=0, atol=0)


def test_it_generates_with_its_cache_as_without():
    model = cut(model_of("gemma2", 6), (0, 3, 5)).eval()
    ids = torch.arange(9)[None]
    settings = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    with_cache = model.generate(ids, use_cache=True, **settings)
    assert with_cache.tolist() == model.generate(ids, use_cache=False, **settings).tolist()


def test_it_is_saved_and_loaded_as_any_model(tmp_path):
    smaller = cut(model_of("qwen2", 4), 2).eval()
    smaller.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    ids = torch.arange(7)[None]
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, smaller(ids).logits)


def test_the_model_that_it_is_cut_from_stays_as_it_was():
    model = model_of("llama", 4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    smaller = cut(model, 2)
    with torch.no_grad():
        for weights in smaller.parameters():
            weights.add_(1.0)
    assert model.config.num_hidden_layers == 4
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_settings_of_each_layer_are_those_of_the_layers_that_stay():
    config = model_of("gemma2", 4).config
    kinds = list(config.layer_types)
    assert len(set(kinds)) == 2
    assert list(cut_config(config, (0, 2)).layer_types) == [kinds[0], kinds[2]]
    assert config.num_hidden_layers == 4


@given(st.integers(1, 80).flatmap(lambda layers: st.tuples(st.just(layers), st.integers(1, layers))))
def test_a_number_of_layers_is_spread_evenly_from_the_first_to_the_last(numbers):
    layers, wanted = numbers
    kept = layers_to_keep(wanted, layers)
    assert len(kept) == wanted
    assert kept[0] == 0
    if wanted > 1:
        assert kept[-1] == layers - 1
        steps = {after - before for before, after in pairwise(kept)}
        assert min(steps) >= 1
        assert max(steps) - min(steps) <= 1


def test_ten_of_thirty():
    assert layers_to_keep(10, 30) == [0, 3, 6, 10, 13, 16, 19, 23, 26, 29]


def test_named_layers_come_in_their_order_and_once():
    assert layers_to_keep((3, 0, 3), 4) == [0, 3]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (5, "keep_layers: 5 layers cannot be kept; the model has 4"),
        ((0, 4), "keep_layers: there is no layer 4; the model has layers 0 to 3"),
    ],
)
def test_layers_that_are_not_there_are_told(wanted, message):
    with pytest.raises(UserError) as error:
        layers_to_keep(wanted, 4)
    assert str(error.value) == message
