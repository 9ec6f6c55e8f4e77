"""Hidden states by transformers' numbers, and what a method hears that asks for others."""

from types import SimpleNamespace

import pytest
import torch

from kdzoo.engine.models.hidden_states import asked_for, hidden_states_of
from kdzoo.errors import RunError

TOKENS = torch.tensor([[5, 6, 7, 8], [9, 3, 4, 5]])


def test_nothing_is_asked_for_where_no_layer_is():
    assert asked_for(()) == {}
    assert hidden_states_of(SimpleNamespace(), (), rows=2) == []


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "opt"])
def test_they_are_those_of_an_ordinary_forward(make_model, architecture):
    model = make_model(architecture).eval()
    layers = (0, 2, -2, -1)
    expected = model(input_ids=TOKENS, output_hidden_states=True).hidden_states
    found = hidden_states_of(model(input_ids=TOKENS, **asked_for(layers)), layers, rows=2)
    for layer, states in zip(layers, found, strict=True):
        assert torch.equal(states, expected[layer])
    assert torch.equal(found[1], found[3]), "a model of two layers: 2 is the last"


@pytest.mark.parametrize("layer", [3, -4])
def test_a_layer_that_is_not_there_is_named(make_model, layer):
    output = make_model("llama")(input_ids=TOKENS, **asked_for((0, layer)))
    with pytest.raises(RunError, match=rf"there is no layer {layer}; the model has 0 to 2"):
        hidden_states_of(output, (0, layer), rows=2)


def test_an_architecture_without_hidden_states_says_so():
    with pytest.raises(RunError, match="SimpleNamespace, has no hidden states"):
        hidden_states_of(SimpleNamespace(hidden_states=None), (0,), rows=2)


@pytest.mark.parametrize("shape", [(4, 2, 4, 8), (3, 4, 8)])
def test_hidden_states_that_are_no_vectors_of_tokens_are_refused(shape):
    with pytest.raises(RunError, match="not one vector a token"):
        hidden_states_of(SimpleNamespace(hidden_states=(torch.zeros(shape),)), (0,), rows=2)
