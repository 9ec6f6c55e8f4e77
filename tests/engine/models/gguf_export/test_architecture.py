"""A model's numbers and tensors as GGUF has them, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from transformers import AutoConfig

pytest.importorskip("gguf", reason="GGUF files need the package gguf")

from gguf import MODEL_ARCH
from gguf_models import make

from kdzoo.engine.models.gguf_export.architecture import add_numbers, architecture_of, named_tensors
from kdzoo.errors import UserError


class Written:
    """A writer that keeps what is added."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return lambda value: self.values.__setitem__(name.removeprefix("add_"), value)


def numbers(config: Any) -> dict[str, Any]:
    writer = Written()
    add_numbers(writer, config)
    return writer.values


@pytest.mark.parametrize(
    ("kind", "settings", "reason"),
    [
        ("gpt2", {}, "models of the kind gpt2 cannot be written here, only llama, mistral, qwen2, qwen3"),
        ("llama", {"hidden_act": "gelu"}, "its activation is gelu"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}},
            "its positions are scaled by yarn",
        ),
    ],
)
def test_what_a_file_cannot_say_is_refused_with_the_way_to_do_it(
    kind: str, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UserError) as told:
        architecture_of(AutoConfig.for_model(kind, **settings))
    assert str(told.value).startswith(f"--gguf: {reason}")
    assert str(told.value).endswith("python convert_hf_to_gguf.py DIR")


def test_a_weight_without_a_place_is_refused() -> None:
    model = make("llama")
    with pytest.raises(UserError, match=r"its weight model\.layers\.0\.extra\.weight has no place"):
        named_tensors(
            {**model.state_dict(), "model.layers.0.extra.weight": torch.ones(2)},
            model.config,
            MODEL_ARCH.LLAMA,
        )


def test_rows_that_are_rotated_together_stand_together() -> None:
    model = make("llama")
    found = named_tensors(model.state_dict(), model.config, MODEL_ARCH.LLAMA)
    ours = model.model.layers[0].self_attn
    for weight, heads, theirs in (
        (ours.q_proj.weight, 4, found["blk.0.attn_q.weight"]),
        (ours.k_proj.weight, 2, found["blk.0.attn_k.weight"]),
    ):
        size = weight.shape[0] // heads
        for head in range(heads):
            for row in range(size // 2):
                assert torch.equal(theirs[head * size + 2 * row], weight[head * size + row])
                assert torch.equal(theirs[head * size + 2 * row + 1], weight[head * size + row + size // 2])


def test_llama_3_s_frequencies_are_divided_as_its_paper_s_code_says() -> None:
    model = make("llama31")
    found = named_tensors(model.state_dict(), model.config, MODEL_ARCH.LLAMA)["rope_freqs.weight"]
    expected = []
    for i in range(8):  # of heads of size 16
        wavelength = 2 * math.pi * 500_000 ** (i / 8)
        # with factor 8, low_freq_factor 1, high_freq_factor 4, 64 positions at first
        if wavelength < 64 / 4:
            expected.append(1.0)
        elif wavelength > 64 / 1:
            expected.append(8.0)
        else:
            smooth = (64 / wavelength - 1) / (4 - 1)
            expected.append(1 / ((1 - smooth) / 8 + smooth))
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("kind", "settings", "context"),
    [
        ("llama", {}, 128),
        ("mistral", {"sliding_window": 32}, 32),
        ("mistral", {"sliding_window": None}, 128),
        ("qwen2", {"sliding_window": 32, "use_sliding_window": False}, 128),
        ("qwen2", {"sliding_window": 32, "use_sliding_window": True, "max_window_layers": 0}, 32),
    ],
)
def test_a_window_ends_the_context(kind: str, settings: dict[str, Any], context: int) -> None:
    config = AutoConfig.for_model(kind, max_position_embeddings=128, num_hidden_layers=2, **settings)
    assert numbers(config)["context_length"] == context
