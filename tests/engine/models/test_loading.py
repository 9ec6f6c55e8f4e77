"""Models from folders: whole, or told what is wrong with them; and saved as plain transformers reads them."""

import re

import pytest
import tokenizer_kinds
import torch
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GenerationConfig

from kdzoo.engine.models.end_tokens import end_ids
from kdzoo.engine.models.loading import (
    add_lora,
    load_pretrained,
    load_trained,
    save_trained,
)
from kdzoo.errors import UserError

TOKENS = torch.tensor([[1, 5, 9, 7, 33]])


def lora(r=2, target_modules="all-linear"):
    return LoraConfig(r=r, lora_alpha=2 * r, target_modules=target_modules, task_type="CAUSAL_LM")


class TestBrokenFolders:
    def refused(self, folder, *words):
        with pytest.raises(UserError) as caught:
            load_pretrained(str(folder), None, "float32")
        message = str(caught.value)
        assert message.startswith(f"the model '{folder}' cannot be loaded: ")
        assert "\n" not in message
        for word in words:
            assert word in message

    @pytest.fixture
    def folder(self, make_model, tmp_path):
        make_model("llama").save_pretrained(tmp_path)
        return tmp_path

    @pytest.mark.parametrize("left", [0, 50, -100])
    def test_weights_that_are_cut_off(self, folder, left):
        file = folder / "model.safetensors"
        file.write_bytes(file.read_bytes()[:left])
        self.refused(folder, "deserializing header")

    def test_no_weights(self, folder):
        (folder / "model.safetensors").unlink()
        self.refused(folder, "no file named model.safetensors")

    def test_some_weights_that_would_be_random_numbers(self, folder):
        file = folder / "model.safetensors"
        weights = load_file(file)
        del weights["model.layers.1.mlp.up_proj.weight"], weights["model.norm.weight"]
        save_file(weights, file, metadata={"format": "pt"})
        self.refused(folder, "its files lack 2 of its weights, model.layers.1.mlp.up_proj.weight for one")

    def test_weights_of_another_size(self, folder):
        file = folder / "model.safetensors"
        weights = load_file(file)
        weights["model.norm.weight"] = weights["model.norm.weight"][:5].clone()
        save_file(weights, file, metadata={"format": "pt"})
        self.refused(folder, "model.norm.weight is of size [5] in its files, and [32] by its configuration")

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"model_type": "new"}'])
    def test_a_configuration_that_is_none(self, folder, content):
        (folder / "config.json").write_text(content)
        self.refused(folder)

    def test_no_folder(self):
        self.refused("no/such/model")


class TestAHeadThatIsTied:
    """LoRA on the head of a student whose embeddings are tied: trained, saved, continued, and used as a model."""

    @pytest.mark.filterwarnings(
        "ignore:Model with `tie_word_embeddings=True`", "ignore:Setting `save_embedding_layers`"
    )
    def test_what_is_trained_is_what_is_loaded(self, make_model, tmp_path):
        make_model("qwen2", tie_word_embeddings=True).save_pretrained(tmp_path / "base")
        base = load_pretrained(str(tmp_path / "base"), None, "float32")
        student = add_lora(base, lora(r=4, target_modules=["lm_head", "q_proj"]), seed=0)
        embedding = base.get_input_embeddings().weight.clone()
        optimizer = torch.optim.AdamW((p for p in student.parameters() if p.requires_grad), lr=0.05)
        for _ in range(5):
            loss = student(TOKENS, labels=TOKENS).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert base.get_input_embeddings().weight.equal(embedding)
        trained = student.eval()(TOKENS).logits
        save_trained(student, tokenizer_kinds.trained(), (2,), tmp_path / "model")

        again = load_trained(tmp_path / "model", "float32", trainable=True)
        torch.testing.assert_close(again.eval()(TOKENS).logits, trained)
        names = {name for name, weight in again.named_parameters() if weight.requires_grad}
        assert names == {name for name, weight in student.named_parameters() if weight.requires_grad}
        plain = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(tmp_path / "base"), tmp_path / "model"
        )
        torch.testing.assert_close(plain.eval()(TOKENS).logits, trained)
        merged = load_pretrained(str(tmp_path / "model"), None, "float32")
        torch.testing.assert_close(merged.eval()(TOKENS).logits, trained, rtol=1e-5, atol=1e-5)


class TestEnds:
    """What ends a sequence of a model: the tokenizer's end, and those that its generation configuration names."""

    @pytest.fixture
    def tokenizer(self):
        return tokenizer_kinds.qwen()

    def model(self, make_model, tokenizer, ends):
        model = make_model("llama", vocabulary=len(tokenizer))
        model.generation_config.eos_token_id = ends
        return model

    def ids(self, tokenizer, *names):
        return tokenizer.convert_tokens_to_ids(list(names))

    @pytest.mark.parametrize("adapted", [False, True])
    def test_they_are_saved_with_the_model_and_nothing_else_is_in_force(
        self, make_model, tokenizer, tmp_path, adapted
    ):
        base = self.model(make_model, tokenizer, None)
        base.generation_config.update(do_sample=True, temperature=0.7, repetition_penalty=1.2)
        base.save_pretrained(tmp_path / "base")
        base = load_pretrained(str(tmp_path / "base"), None, "float32")
        student = add_lora(base, lora(), 0) if adapted else base
        ends = tuple(self.ids(tokenizer, "<|im_end|>", "<|endoftext|>"))
        save_trained(student, tokenizer, ends, tmp_path / "model")
        saved = GenerationConfig.from_pretrained(tmp_path / "model")
        assert saved.eos_token_id == list(ends)
        assert saved.pad_token_id == tokenizer.pad_token_id
        assert (saved.do_sample, saved.temperature, saved.repetition_penalty) == (False, None, 1.0)
        for load in (
            lambda folder: load_trained(folder, "float32", trainable=False),
            lambda folder: load_pretrained(str(folder), None, "float32"),
        ):
            assert end_ids(tokenizer, load(tmp_path / "model")) == ends


def test_a_message_names_the_folder_that_was_asked_for(tmp_path):
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "x"))):
        load_trained(tmp_path / "x", "float32", trainable=False)
