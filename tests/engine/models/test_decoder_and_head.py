"""When a projection is a plain product, so that a loss may be fused with it, and an embedding a plain lookup."""

from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch._subclasses.fake_tensor import FakeTensorMode

from kdzoo.engine.models.decoder_and_head import DecoderAndHead


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt_neox"])
def test_the_usual_projection_is_a_plain_product(make_model, architecture):
    model = make_model(architecture)
    parts = DecoderAndHead.of(model)
    hidden = torch.randn(3, 32)
    assert parts.plain_weight is model.get_output_embeddings().weight
    torch.testing.assert_close(hidden @ parts.plain_weight.T, parts.project(hidden))


def test_a_lora_beside_the_projection_leaves_it_plain_and_one_on_it_does_not(make_model):
    beside = make_model("llama", lora=True)
    on_it = get_peft_model(make_model("llama"), LoraConfig(target_modules=["lm_head"], task_type="CAUSAL_LM"))
    assert DecoderAndHead.of(beside).plain_weight is not None
    assert DecoderAndHead.of(on_it).plain_weight is None


@pytest.mark.parametrize("architecture", ["codegen", "gemma2"])
def test_a_bias_or_a_softcap_is_more_than_a_product(make_model, architecture):
    assert DecoderAndHead.of(make_model(architecture)).plain_weight is None


def test_hooks_and_wrapped_forward_methods_are_not_passed_by(make_model):
    model = make_model("llama")
    head = model.get_output_embeddings()
    handle = head.register_forward_hook(lambda *_: None)
    assert DecoderAndHead.of(model).plain_weight is None
    handle.remove()
    assert DecoderAndHead.of(model).plain_weight is head.weight
    head.forward = head.forward
    assert DecoderAndHead.of(model).plain_weight is None


@pytest.mark.parametrize("architecture", ["llama", "codegen", "gpt_neox", "gpt2"])
def test_the_usual_embedding_is_a_plain_lookup(make_model, architecture):
    model = make_model(architecture)
    assert DecoderAndHead.of(model).plain_embedding is model.get_input_embeddings()


def test_a_frozen_or_scaling_or_watched_or_foreign_embedding_is_called_as_usual(make_model):
    assert DecoderAndHead.of(make_model("llama", lora=True)).plain_embedding is None
    assert DecoderAndHead.of(make_model("gemma")).plain_embedding is None
    watched = make_model("llama")
    watched.get_input_embeddings().register_forward_hook(lambda *_: None)
    assert DecoderAndHead.of(watched).plain_embedding is None
    assert DecoderAndHead.of(make_model("llama").to("meta")).plain_embedding is None


def test_logits_are_where_the_hidden_states_are_even_if_the_projection_is_elsewhere(make_model):
    """On devices that torch only pretends to have."""
    parts = DecoderAndHead.of(make_model("llama"))

    def elsewhere(hidden):
        return hidden.to("cuda:1")  # what accelerate's hooks do around a layer of another device

    with FakeTensorMode():
        moved = replace(parts, head=elsewhere)
        assert str(moved.project(torch.empty(3, 32, device="cuda:0")).device) == "cuda:0"
