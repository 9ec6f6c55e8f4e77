"""The architecture of a model as GGUF has it: its numbers, and what its tensors are called."""

from __future__ import annotations

from typing import Any

import gguf
import torch
from gguf import MODEL_ARCH, GGUFWriter, RopeScalingType
from torch import Tensor
from transformers import PretrainedConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from kdzoo.engine.models.gguf_export.refusal import refused

# Mistral's are LLaMA's tensors and computation, and have no name of their own in GGUF.
_ARCHITECTURES = {
    "llama": MODEL_ARCH.LLAMA,
    "mistral": MODEL_ARCH.LLAMA,
    "qwen2": MODEL_ARCH.QWEN2,
    "qwen3": MODEL_ARCH.QWEN3,
}
_ROPE_FREQUENCIES = "rope_freqs.weight"


def architecture_of(config: PretrainedConfig) -> MODEL_ARCH:
    """What GGUF calls an architecture.

    Raises:
        UserError: it is none that can be written here, or computes something in a way that the file cannot say.
    """
    if config.model_type not in _ARCHITECTURES:
        known = ", ".join(_ARCHITECTURES)
        raise refused(f"models of the kind {config.model_type} cannot be written here, only {known}")
    if config.hidden_act != "silu":
        raise refused(f"its activation is {config.hidden_act}, and a GGUF file of its kind means silu")
    rope = _rope(config)
    if rope["rope_type"] not in ("default", "linear", "llama3"):
        raise refused(f"its positions are scaled by {rope['rope_type']}")
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise refused("only a part of each head is rotated by position")
    return _ARCHITECTURES[config.model_type]


def add_numbers(writer: GGUFWriter, config: PretrainedConfig) -> None:
    """Write the sizes of a model, its norms' epsilon, and how it sees positions."""
    heads, rope = config.num_attention_heads, _rope(config)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(_context(config))
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])


def named_tensors(
    weights: dict[str, Tensor], config: PretrainedConfig, architecture: MODEL_ARCH
) -> dict[str, Tensor]:
    """A model's weights by their names in GGUF, their rows in its order.

    Raises:
        UserError: a weight has no name there.
    """
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        called = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if called is None:
            raise refused(f"its weight {name} has no place in a GGUF file")
        if architecture == MODEL_ARCH.LLAMA and (".q_proj." in name or ".k_proj." in name):
            heads = config.num_attention_heads if ".q_proj." in name else config.num_key_value_heads
            weight = _pairs_beside_each_other(weight, heads)
        found[called] = weight
    frequencies = _frequency_factors(config)
    return found if frequencies is None else {**found, _ROPE_FREQUENCIES: frequencies}


def _pairs_beside_each_other(weight: Tensor, heads: int) -> Tensor:
    """The rows [heads x D, ...] of queries or keys in llama.cpp's order for LLaMA: what is rotated together stands together.

    transformers rotates row i of a head with row i + D / 2.
    """
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return halves.transpose(1, 2).reshape(weight.shape)


def _frequency_factors(config: PretrainedConfig) -> Tensor | None:
    """What the usual frequencies are divided by [head_dim / 2], float32, for Llama 3's scaling of positions."""
    rope = _rope(config)
    if rope["rope_type"] != "llama3":
        return None
    scaled: Tensor = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))[0]
    exponents = torch.arange(0, 2 * len(scaled), 2, dtype=torch.float32) / (2 * len(scaled))
    factors: Tensor = 1.0 / (rope["rope_theta"] ** exponents) / scaled
    return factors


def _rope(config: PretrainedConfig) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10_000.0, **(config.rope_parameters or {})}


def _context(config: PretrainedConfig) -> int:
    """The longest text over which llama.cpp, which has no window for these kinds, computes the same."""
    window = getattr(config, "sliding_window", None)
    if "sliding_attention" not in (getattr(config, "layer_types", None) or ["sliding_attention"]):
        window = None
    return int(min(config.max_position_embeddings, window or config.max_position_embeddings))
