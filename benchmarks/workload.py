"""The work that all contenders do: random models, one tokenizer, one batch shape."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True)
class Shape:
    """Models and batch of a benchmark. ``shared`` prompt tokens are common to groups of ``group`` rows.

    ``micro_batch`` rows are computed at a time; an optimizer step takes ``batch`` of them. ``dtype`` is that of the weights;
    with ``autocast`` they are float32 and the products bfloat16. ``tied`` heads are the models' embeddings.
    """

    student: dict[str, Any]
    teacher: dict[str, Any]
    vocabulary: int
    batch: int = 8
    micro_batch: int = 8
    prompt: int = 500
    shared: int = 400
    group: int = 4
    target: int = 40
    lora_rank: int | None = None
    dtype: str = "float32"
    autocast: bool = False
    tied: bool = False

    @property
    def computes_in_bf16(self) -> bool:
        """Whether products are of bfloat16, whatever the weights are."""
        return self.autocast or self.dtype == "bfloat16"


def _llama(hidden: int, inner: int, layers: int, heads: int, kv: int | None = None) -> dict[str, Any]:
    return {
        "architecture": "llama",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv or heads,
    }


def _qwen(hidden: int, inner: int, layers: int, heads: int) -> dict[str, Any]:
    return {**_llama(hidden, inner, layers, heads), "architecture": "qwen2"}


_PAPER: dict[str, Any] = {
    "batch": 16,
    "micro_batch": 16,
    "prompt": 900,
    "shared": 800,
    "target": 60,
    "lora_rank": 64,
    "dtype": "bfloat16",
}
_QWEN_05B = _qwen(1024, 2816, 24, 16)
_CPU = Shape(_llama(256, 688, 4, 4), _llama(512, 1376, 8, 8), 32_000)

SHAPES = {
    "cpu": _CPU,
    "cpu-accumulated": replace(_CPU, batch=16, micro_batch=4),
    # SmolLM2-135M as the teacher and 10 of its layers as the student, on Spider with names only
    "smollm2-135m": Shape(
        _llama(576, 1536, 10, 9, 3),
        _llama(576, 1536, 30, 9, 3),
        49_152,
        prompt=233,
        shared=213,
        group=8,
        target=24,
        autocast=True,
        tied=True,
    ),
    "tinyllama-llama2-7b": Shape(
        _llama(2048, 5632, 22, 32, 4), _llama(4096, 11008, 32, 32), 32_000, **_PAPER
    ),
    "qwen1.5-0.5b-1.8b": Shape(_QWEN_05B, _qwen(2048, 5504, 24, 16), 151_936, **_PAPER),
    "qwen1.5-0.5b-4b": Shape(_QWEN_05B, _qwen(2560, 6912, 40, 20), 151_936, **_PAPER),
    "qwen1.5-0.5b-7b": Shape(_QWEN_05B, _qwen(4096, 11008, 32, 32), 151_936, **_PAPER),
}


def reduced(shape: Shape, layers: int, batch: int) -> Shape:
    """The same shape with so many layers and rows at the most (0: its own), for machines on which it would not fit."""

    def fewer(model: dict[str, Any]) -> dict[str, Any]:
        own = model["num_hidden_layers"]
        return {**model, "num_hidden_layers": min(layers or own, own)}

    rows = min(batch or shape.batch, shape.batch)
    part = shape.micro_batch if rows % shape.micro_batch == 0 else rows
    return replace(
        shape,
        student=fewer(shape.student),
        teacher=fewer(shape.teacher),
        batch=rows,
        micro_batch=part,
        group=min(shape.group, part),
    )


def make_tokenizer(shape: Shape) -> PreTrainedTokenizerFast:
    """A tokenizer in which the word ``t17`` is token 17, so that texts have exactly the shape's lengths."""
    words = {f"t{i}": i for i in range(shape.vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="t3"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="t0",
        bos_token="t1",
        eos_token="t2",
        unk_token="t3",
        padding_side="left",
    )


def make_model(settings: dict[str, Any], shape: Shape, device: str, seed: int) -> PreTrainedModel:
    """A model with random weights."""
    rest = dict(settings)
    family = rest.pop("architecture")
    config = AutoConfig.for_model(
        family,
        vocab_size=shape.vocabulary,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        max_position_embeddings=4096,
        tie_word_embeddings=shape.tied,
        **rest,
    )
    torch.manual_seed(seed)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=getattr(torch, shape.dtype))


def make_examples(shape: Shape, steps: int) -> list[tuple[list[int], list[int]]]:
    """Prompts and targets (with their end of sequence) for so many batches, rows of a group next to each other."""
    source = random.Random(0)
    draw = lambda count: [source.randrange(4, shape.vocabulary) for _ in range(count)]  # noqa: E731
    examples = []
    for _ in range(steps * shape.batch // shape.group):
        beginning = draw(shape.shared)
        for _ in range(shape.group):
            examples.append((beginning + draw(shape.prompt - shape.shared), [*draw(shape.target - 1), 2]))
    return examples


def as_text(ids: list[int]) -> str:
    """Token ids as text for trainers that take text."""
    return " ".join(f"t{i}" for i in ids)
