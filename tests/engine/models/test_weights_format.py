"""Weights are read from safetensors only, and a refusal says how to make them of a pickle."""

import re

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from kdzoo.engine.models.loading import load_pretrained, load_trained
from kdzoo.engine.models.weights_format import check_adapter_format, check_model_format
from kdzoo.errors import UserError


def refusal(check, folder):
    with pytest.raises(UserError) as caught:
        check(folder)
    return str(caught.value)


def run(command):
    """Run what a message says to run, in this process."""
    exec(re.search(r'python -c "(.*)"', command).group(1), {})


def pickled(file, name):
    """Put a pickle in the place of safetensors; gives what they held."""
    weights = load_file(file)
    torch.save(weights, file.with_name(name))
    file.unlink()
    return weights


@pytest.fixture
def model(tmp_path):
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = AutoConfig.for_model("llama", vocab_size=8, tie_word_embeddings=False, **sizes)
    folder = tmp_path / "it's a model"
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def test_a_model_that_is_a_pickle_is_refused_and_the_told_command_makes_safetensors(model):
    weights = pickled(model / "model.safetensors", "pytorch_model.bin")
    told = refusal(lambda folder: load_pretrained(str(folder), None, "float32"), model)
    assert "a pickle (pytorch_model.bin), which can run code when it is read" in told
    run(told)
    check_model_format(model)
    loaded = load_pretrained(str(model), None, "float32").state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in weights.items())


def test_an_adapter_that_is_a_pickle_is_refused_and_the_told_command_makes_safetensors(model):
    base = AutoModelForCausalLM.from_pretrained(model)
    folder = model.parent / "adapter"
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(base, config).save_pretrained(folder)
    weights = pickled(folder / "adapter_model.safetensors", "adapter_model.bin")
    told = refusal(lambda folder: load_trained(folder, "float32", trainable=False), folder)
    assert "a pickle (adapter_model.bin), which can run code when it is read" in told
    run(told)
    check_adapter_format(folder)
    again = load_file(folder / "adapter_model.safetensors")
    assert again.keys() == weights.keys()
    assert all(torch.equal(again[name], value) for name, value in weights.items())


@pytest.mark.parametrize(
    "name", ["model.pt", "model.pth", "weights.ckpt", "model.pkl", "consolidated.00.pth"]
)
def test_other_pickles_are_refused_too(tmp_path, name):
    (tmp_path / name).touch()
    assert f"a pickle ({name})" in refusal(check_model_format, tmp_path)


@pytest.mark.parametrize("names", [["model.safetensors", "pytorch_model.bin"], ["training_args.bin"], []])
def test_pickles_that_are_not_read_do_not_matter(tmp_path, names):
    for name in names:
        (tmp_path / name).touch()
    check_model_format(tmp_path)


def test_a_hub_name_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_model_format(tmp_path / "some/model")
