"""Adapters as models: merged they say what peft says unmerged, and those that do not fit are told."""

import json
import re

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from transformers import AutoModelForCausalLM

from kdzoo.engine.models.loading import load_config, load_pretrained, load_trained
from kdzoo.errors import UserError

TOKENS = torch.tensor([[1, 5, 9, 7, 33]])
EMBEDDINGS = {
    "llama": "embed_tokens",
    "gemma": "embed_tokens",
    "gpt2": "wte",
    "bloom": "word_embeddings",
    "mamba": "embeddings",
}
SMALL = {
    "bloom": {"hidden_size": 32, "n_layer": 1, "n_head": 4},
    "mamba": {"hidden_size": 32, "num_hidden_layers": 1, "state_size": 8},
}


def lora(**settings):
    return LoraConfig(**{"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **settings})


@pytest.fixture
def save_base(make_model, tmp_path):
    def save(name="base", architecture="llama", **settings):
        settings = {**SMALL.get(architecture, {}), "tie_word_embeddings": True, **settings}
        make_model(architecture, **settings).save_pretrained(tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def save_adapter(tmp_path):
    """Put a random adapter on the model of a folder with plain peft, and give its folder and its logits."""

    def save(base, config, name="adapter", resize=None):
        model = AutoModelForCausalLM.from_pretrained(base)
        if resize is not None:
            model.resize_token_embeddings(resize)
        adapted = get_peft_model(model, config).eval()
        with torch.no_grad():
            for weight in adapted.parameters():
                if weight.requires_grad:
                    weight.add_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
        adapted.save_pretrained(tmp_path / name)
        return tmp_path / name, adapted(TOKENS).logits.detach()

    return save


class TestMerged:
    @pytest.mark.parametrize("tied", [True, False])
    @pytest.mark.parametrize("targets", ["head", "embedding", "both", "layers"])
    @pytest.mark.parametrize("architecture", EMBEDDINGS)
    def test_it_says_what_the_adapter_on_its_base_says(
        self, save_base, save_adapter, tmp_path, architecture, targets, tied
    ):
        embedding = EMBEDDINGS[architecture]
        modules = {
            "head": ["lm_head"],
            "embedding": [embedding],
            "both": ["lm_head", embedding],
            "layers": ["in_proj"] if architecture == "mamba" else "all-linear",
        }
        base = save_base(architecture=architecture, tie_word_embeddings=tied)
        adapter, logits = save_adapter(base, lora(target_modules=modules[targets]))
        merged = load_pretrained(str(adapter), None, "float32").eval()
        assert not isinstance(merged, PeftModel)
        assert all(weight.requires_grad for weight in merged.parameters())
        torch.testing.assert_close(merged(TOKENS).logits, logits, rtol=1e-5, atol=1e-4)
        # what is saved of it is the same, also where it was read by plain transformers
        merged.save_pretrained(tmp_path / "merged")
        again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
        torch.testing.assert_close(again(TOKENS).logits, merged(TOKENS).logits)
        assert again.config.tie_word_embeddings == (tied and targets == "layers")

    @pytest.mark.parametrize(
        "config",
        [
            lora(modules_to_save=["lm_head"]),
            lora(target_modules=["embed_tokens"], ensure_weight_tying=True),
            lora(use_dora=True),
            IA3Config(
                task_type="CAUSAL_LM",
                target_modules=["v_proj", "down_proj"],
                feedforward_modules=["down_proj"],
            ),
        ],
        ids=["whole head", "tied", "dora", "ia3"],
    )
    @pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")
    def test_so_do_adapters_of_other_kinds(self, save_base, save_adapter, tmp_path, config):
        adapter, logits = save_adapter(save_base(), config)
        merged = load_pretrained(str(adapter), None, "float32").eval()
        torch.testing.assert_close(merged(TOKENS).logits, logits, rtol=1e-5, atol=1e-4)
        merged.save_pretrained(tmp_path / "merged")
        again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
        torch.testing.assert_close(again(TOKENS).logits, merged(TOKENS).logits)

    def test_an_adapter_on_an_adapter(self, save_base, save_adapter):
        first, _ = save_adapter(save_base(), lora(target_modules=["lm_head"]), "first")
        # peft's own way to the same base: merged by us, saved, adapted
        load_pretrained(str(first), None, "float32").save_pretrained(first.parent / "merged")
        second, logits = save_adapter(first.parent / "merged", lora(), "second")
        config = json.loads((second / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = str(first)
        (second / "adapter_config.json").write_text(json.dumps(config))
        model = load_pretrained(str(second), None, "float32").eval()
        torch.testing.assert_close(model(TOKENS).logits, logits, rtol=1e-5, atol=1e-4)

    def test_unmerged_it_is_what_peft_loads(self, save_base, save_adapter):
        adapter, logits = save_adapter(save_base(), lora(target_modules=["lm_head", "embed_tokens"]))
        model = load_trained(adapter, "float32", trainable=True)
        assert isinstance(model, PeftModel)
        torch.testing.assert_close(model.eval()(TOKENS).logits, logits)


class TestWhatCannotBeLoaded:
    """Each mistake is told with the file, and before any weights are loaded where they are not needed."""

    def refused(self, adapter, *words):
        with pytest.raises(UserError) as caught:
            load_pretrained(str(adapter), None, "float32")
        message = str(caught.value)
        assert "\n" not in message
        for word in (str(adapter), *words):
            assert word in message
        with pytest.raises(UserError, match=re.escape(str(adapter))):
            load_trained(adapter, "float32", trainable=False)

    def test_the_vocabulary_was_resized(self, save_base, save_adapter):
        adapter, _ = save_adapter(save_base(), lora(), resize=70)
        self.refused(
            adapter, "cannot be put on its base", "size mismatch for", "embed_tokens", "[70, 32]", "[60, 32]"
        )

    @pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")
    def test_the_vocabulary_was_resized_and_trained(self, save_base, save_adapter):
        adapter, _ = save_adapter(save_base(), lora(modules_to_save=["embed_tokens"]), resize=70)
        self.refused(adapter, "cannot be put on its base", "[70, 32]")

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"hidden_size": 64}, ["size mismatch for", "[4, 32]", "[4, 64]"]),
            (
                {"num_hidden_layers": 3},
                ["it lacks 4 of the weights that the base has places for", "layers.2"],
            ),
            ({"num_hidden_layers": 1}, ["the base has no place for 4 of its weights", "layers.1"]),
        ],
    )
    def test_the_base_is_of_another_size(self, save_base, save_adapter, settings, words):
        base = save_base()
        adapter, _ = save_adapter(base, lora(target_modules=["q_proj", "v_proj"]))
        save_base(**settings)
        self.refused(adapter, "cannot be put on its base", str(base), *words)

    def test_the_base_is_of_another_architecture(self, save_base, save_adapter):
        adapter, _ = save_adapter(save_base(), lora(target_modules=["q_proj", "v_proj"]))
        save_base(architecture="gpt2")
        self.refused(adapter, "cannot be put on its base", "not found in the base model")

    def test_the_weights_are_missing(self, save_base, save_adapter):
        adapter, _ = save_adapter(save_base(), lora())
        (adapter / "adapter_model.safetensors").unlink()
        self.refused(adapter, "has no weights of its adapter (adapter_model.safetensors)")

    @pytest.mark.parametrize("left", [0, 50, -100])
    def test_the_weights_are_broken(self, save_base, save_adapter, left):
        adapter, _ = save_adapter(save_base(), lora())
        file = adapter / "adapter_model.safetensors"
        file.write_bytes(file.read_bytes()[:left])
        self.refused(adapter, "cannot be put on its base", "deserializing header")

    @pytest.mark.parametrize(
        "config",
        [
            PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
            PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
        ],
    )
    def test_it_is_no_change_of_weights(self, save_base, save_adapter, config):
        adapter, _ = save_adapter(save_base(), config)
        self.refused(adapter, f"an adapter of type {config.peft_type.value} adds tokens of its own", "LoRA")
        with pytest.raises(UserError, match="adds tokens of its own"):
            load_config(str(adapter), None)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"peft_type": "NEW"}, ["cannot be read", "NEW"]),
            ({"task_type": "SEQ_CLS"}, ["task_type is SEQ_CLS, not CAUSAL_LM"]),
            ({"base_model_name_or_path": None}, ["names no base model"]),
            ({"base_model_name_or_path": "no/such/model"}, ["no/such/model"]),
        ],
    )
    def test_its_configuration_says_something_else(self, save_base, save_adapter, change, words):
        adapter, _ = save_adapter(save_base("elsewhere"), lora())
        file = adapter / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
        with pytest.raises(UserError) as caught:
            load_pretrained(str(adapter), None, "float32")
        for word in words:
            assert word in str(caught.value)

    def test_its_configuration_is_no_json(self, save_base, save_adapter):
        adapter, _ = save_adapter(save_base(), lora())
        (adapter / "adapter_config.json").write_text("{")
        self.refused(adapter, "adapter_config.json")

    def test_it_is_its_own_base(self, save_base, save_adapter):
        adapter, _ = save_adapter(save_base(), lora())
        file = adapter / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "base_model_name_or_path": str(adapter)}))
        self.refused(adapter, "leads back to the adapter itself")

    def test_memory_that_does_not_suffice_is_no_mistake_in_the_files(
        self, save_base, save_adapter, monkeypatch
    ):
        adapter, _ = save_adapter(save_base(), lora())

        def fail(*_, **__):
            raise torch.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr(PeftModel, "from_pretrained", fail)
        with pytest.raises(torch.OutOfMemoryError):
            load_pretrained(str(adapter), None, "float32")
