"""A GGUF file as transformers' own reader and llama.cpp read it, beside the model that it was written of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

pytest.importorskip("gguf", reason="GGUF files need the package gguf")

from gguf_models import KINDS, TEXTS, make, sentencepiece, tokenizer_of

from kdzoo.engine.models.gguf_export.pre_tokenizer import NAMES
from kdzoo.engine.models.gguf_export.write import About, write_gguf

IDS = [0, 40, 7, 300, 12, 9, 250, 31, 8, 77, 5, 200, 100, 3, 391, 64]


def logits(model: PreTrainedModel) -> torch.Tensor:
    """The logits of the ids [tokens, vocabulary], float32."""
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0].float()


class TestTransformers:
    # Llama 3's scaling of positions is a tensor of the file, which transformers' reader leaves out
    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "llama31"])
    def test_it_reads_the_same_model(self, kind: str, tmp_path: Path) -> None:
        model = make(kind)
        write_gguf(tmp_path / "m.gguf", model, tokenizer_of("qwen2"), About("m"))
        read = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=torch.float32)
        assert read.config.tie_word_embeddings == model.config.tie_word_embeddings
        assert torch.equal(logits(read), logits(model))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_it_reads_weights_of_half_the_size(self, dtype: torch.dtype, tmp_path: Path) -> None:
        model = make("llama").to(dtype)
        write_gguf(tmp_path / "m.gguf", model, tokenizer_of("qwen2"), About("m"))
        read = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=dtype)
        for (name, ours), theirs in zip(model.named_parameters(), read.parameters(), strict=True):
            assert torch.equal(ours, theirs), name


class TestLlamaCpp:
    @pytest.fixture(autouse=True)
    def _needs_llama_cpp(self) -> None:
        pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")

    def load(self, file: Path, **settings: Any) -> Any:
        import llama_cpp

        return llama_cpp.Llama(str(file), n_threads=1, verbose=False, **settings)

    @pytest.mark.parametrize(
        ("kind", "settings"),
        [
            *((kind, {}) for kind in KINDS),
            ("llama", {"attention_bias": True, "mlp_bias": True}),
            (
                "llama",
                {"rope_parameters": {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0}},
            ),
            ("qwen3", {"head_dim": 32}),
            ("mistral", {"sliding_window": 16}),
        ],
    )
    def test_it_computes_the_same(self, kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
        model = make(kind, **settings)
        write_gguf(tmp_path / "m.gguf", model, tokenizer_of("qwen2"), About("m"))
        f32 = 0  # of the cache of keys and values
        llama = self.load(tmp_path / "m.gguf", n_ctx=128, logits_all=True, type_k=f32, type_v=f32)
        llama.eval(IDS)
        np.testing.assert_allclose(llama.scores[: len(IDS)], logits(model).numpy(), atol=1e-3)

    @pytest.mark.parametrize("begins", [False, True])
    @pytest.mark.parametrize("name", NAMES.values())
    def test_it_reads_texts_as_the_same_tokens(self, name: str, begins: bool, tmp_path: Path) -> None:
        tokenizer = tokenizer_of(name, begins=begins)
        write_gguf(tmp_path / "m.gguf", make("llama"), tokenizer, About("m"))
        llama = self.load(tmp_path / "m.gguf", vocab_only=True)
        for special in (False, True):
            tokenizer.split_special_tokens = not special
            for text in TEXTS:
                assert llama.tokenize(text.encode(), special=special) == tokenizer(text).input_ids, text
        tokenizer.split_special_tokens = False

    @pytest.mark.parametrize("scheme", ["first", "always", "never"])
    def test_so_it_does_of_sentencepiece_s_kind(self, scheme: str, tmp_path: Path) -> None:
        tokenizer = sentencepiece(scheme)
        write_gguf(tmp_path / "m.gguf", make("llama"), tokenizer, About("m"))
        llama = self.load(tmp_path / "m.gguf", vocab_only=True)
        tokenizer.split_special_tokens = True
        # before a space, transformers puts no other one
        for text in (text for text in TEXTS if scheme == "never" or not text.startswith(" ")):
            assert llama.tokenize(text.encode(), special=False) == tokenizer(text).input_ids, text

    def test_it_ends_answers_where_the_model_does(self, tmp_path: Path) -> None:
        model, tokenizer = make("llama"), tokenizer_of("qwen2")
        model.generation_config.eos_token_id = [1, 2, 50]
        write_gguf(tmp_path / "m.gguf", model, tokenizer, About("m"))
        llama = self.load(tmp_path / "m.gguf", vocab_only=True)
        from llama_cpp import llama_vocab_is_eog

        vocabulary = llama._model.vocab
        assert {n for n in range(400) if llama_vocab_is_eog(vocabulary, n)} == {1, 2, 50}
