"""Which models are made alike, so that what was found out for one holds for the other."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from kdzoo.engine.prompts.probe.likeness import likeness


def test_weights_and_modes_make_no_difference(make_model):
    model, other = make_model("llama"), make_model("llama", seed=1)
    assert likeness(model) == likeness(other) is not None
    with torch.no_grad():
        assert likeness(model.train()) == likeness(other.eval())


@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
def test_where_they_were_saved_makes_none(make_model, tmp_path, architecture):
    model = make_model(architecture)
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        model.save_pretrained(folder)
    loaded = [AutoModelForCausalLM.from_pretrained(folder) for folder in folders]
    assert likeness(loaded[0]) == likeness(loaded[1]) == likeness(model)


@pytest.mark.parametrize(
    "change",
    [
        {"num_attention_heads": 2},
        {"sliding_window": 50},  # of which no module shows anything
        {"attn_implementation": "eager"},
        {"vocabulary": 61},
        {"lora": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_configuration_and_modules_do(make_model, change):
    assert likeness(make_model("mistral", **change)) != likeness(make_model("mistral"))


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.bfloat16(),
        lambda model: model.model.layers[1].float().double(),
        lambda model: setattr(model.config, "logits_scaling", 7.0),
        lambda model: setattr(model.model, "gradient_checkpointing", True),
        lambda model: model.activation_checkpointing_enable({"use_reentrant": False}),
        lambda model: model.set_attn_implementation("eager"),
        lambda model: model.model.layers.pop(-1),
    ],
    ids=["dtype", "dtype of a part", "configuration", "checkpointing", "of layers", "attention", "layers"],
)
def test_what_is_changed_afterwards_does(make_model, change):
    model = make_model("llama")
    before = likeness(model)
    assert before is not None
    change(model)
    assert likeness(model) != before


def test_the_settings_of_torch_do(make_model):
    model = make_model("llama")
    before = likeness(model)
    with torch.autocast("cpu", torch.bfloat16):
        assert likeness(model) != before
    assert likeness(model) == before


def test_code_that_is_replaced_does(make_model, monkeypatch):
    model = make_model("llama")
    before = likeness(model)
    code = type(model.model.layers[0])
    forward = code.forward
    monkeypatch.setattr(code, "forward", lambda *given, **named: forward(*given, **named))
    assert likeness(model) != before


def test_nothing_is_known_of_a_model_that_something_hangs_on(make_model):
    hooked, before, patched = (make_model("llama") for _ in range(3))
    hooked.model.layers[0].register_forward_hook(lambda module, given, output: output)
    before.lm_head.register_forward_pre_hook(lambda module, given: given)
    patched.model.norm.forward = patched.model.norm.forward
    assert [likeness(model) for model in (hooked, before, patched)] == [None] * 3


def test_hooks_with_which_transformers_keeps_hidden_states_are_nothing(make_model):
    model = make_model("llama")
    before = likeness(model)
    model(torch.tensor([[3, 4]]), output_hidden_states=True)
    assert any(module._forward_hooks for module in model.modules())
    assert likeness(model) == before
