"""Models without numbers: of the shapes and types of the real ones, and of their ties."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from kdzoo.engine.memory.shadow import shadow_of


@pytest.mark.parametrize("lora", [False, True], ids=["whole", "with LoRA"])
def test_gives_what_the_model_gives_but_for_the_numbers(lora):
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = AutoConfig.for_model("llama", vocab_size=50, tie_word_embeddings=True, **sizes)

    def build():
        model = AutoModelForCausalLM.from_config(config)
        return get_peft_model(model, LoraConfig(r=2, target_modules="all-linear")) if lora else model

    with torch.device("meta"):
        shadow = shadow_of(build())
    real = build()
    tokens = torch.tensor([[3, 4, 5]])
    given, expected = shadow(input_ids=tokens).logits, real(input_ids=tokens).logits
    assert (given.shape, given.dtype, given.device) == (expected.shape, expected.dtype, expected.device)
    described = [(name, p.shape, p.dtype, p.requires_grad) for name, p in real.named_parameters()]
    assert [(name, p.shape, p.dtype, p.requires_grad) for name, p in shadow.named_parameters()] == described
