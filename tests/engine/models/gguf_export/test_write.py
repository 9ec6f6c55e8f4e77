"""A GGUF file as transformers' own reader and llama.cpp read it, beside the model that it was written of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

pytest.importorskip("gguf", reason="GGUF files need the package gguf")

from gguf_models import KINDS, make, tokenizer_of

from kdzoo.engine.models.gguf_export.write import About, write_gguf

IDS = torch.tensor([[5, 40, 7, 300, 12, 9, 250, 31, 8, 77]])


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS).logits


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("llama31",)])
def test_transformers_reads_the_same_model(kind: str, tmp_path: Path) -> None:
    model = make(kind)
    write_gguf(tmp_path / "m.gguf", model, tokenizer_of("qwen2"), About("m"))
    read = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=torch.float32)
    assert read.config.tie_word_embeddings == model.config.tie_word_embeddings
    assert torch.equal(logits(read), logits(model))
