"""Tiny models of several architectures, and ragged prompts that partly begin alike."""

import random

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from kdzoo.engine.prompts.prefix_groups import order_by_prefix
from kdzoo.methods.sequences import Sequences, Source

VOCABULARY = 60

_GQA = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
ARCHITECTURES = {
    "llama": _GQA,
    "qwen2": _GQA,
    "mistral": _GQA,
    "gemma": {**_GQA, "head_dim": 8},
    "gemma2": {**_GQA, "head_dim": 8},
    "codegen": {
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "rotary_dim": 4,
        "n_positions": 256,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    },
    "gpt_neox": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
    },
    "opt": {
        "hidden_size": 32,
        "word_embed_proj_dim": 32,
        "ffn_dim": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "attention_dropout": 0.0,
        "max_position_embeddings": 64,
    },
    "gpt2": {
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    },
}


def tiny_model(architecture, *, vocabulary=VOCABULARY, seed=0, lora=False, **settings):
    """A random model whose weights are large enough that its logits are far from uniform."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        architecture,
        vocab_size=vocabulary,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        **{**ARCHITECTURES.get(architecture, {}), **settings},
    )
    model = AutoModelForCausalLM.from_config(config)
    if lora:
        model = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.fixture
def make_model():
    return tiny_model


@pytest.fixture
def prompts():
    """Two groups of three that share 30 and 25 tokens, and two prompts of their own, one of a single token."""
    source = random.Random(0)
    draw = lambda count: [source.randrange(3, VOCABULARY) for _ in range(count)]  # noqa: E731
    beginnings = [draw(30), draw(25)]
    rows = [beginnings[i % 2] + draw(source.randrange(1, 9)) for i in range(6)] + [[5], draw(17)]
    return [rows[i] for i in order_by_prefix(rows)]


@pytest.fixture
def targets(prompts):
    """Targets of 1 to 7 tokens, the end of sequence included."""
    source = random.Random(1)
    rows = [[source.randrange(3, VOCABULARY) for _ in range(source.randrange(0, 7))] + [2] for _ in prompts]
    return Sequences.of(rows, Source.GROUND_TRUTH)
