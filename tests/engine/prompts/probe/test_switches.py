"""Lengths are found in a configuration wherever they stand, whatever they are called."""

import pytest
from transformers import AutoConfig

from kdzoo.engine.prompts.probe.switches import lengths_named_in, numbers_in


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("mistral", {"sliding_window": 777}),
        ("gpt_neo", {"window_size": 777}),
        ("recurrent_gemma", {"attention_window_size": 777}),
        ("llama4_text", {"attention_chunk_size": 777}),
        ("modernbert-decoder", {"local_attention": 777}),
        ("phi3", {"original_max_position_embeddings": 777}),
        (
            "llama",
            {
                "rope_parameters": {
                    "rope_type": "yarn",
                    "rope_theta": 1e4,
                    "factor": 2.0,
                    "original_max_position_embeddings": 777,
                }
            },
        ),
        ("gpt2", {"n_positions": 777}),
        ("deepseek_v32", {"index_topk": 777}),
        ("mamba2", {"chunk_size": 777}),
        ("minimax", {"block_size": 777}),
    ],
)
def test_a_length_is_found(family, settings):
    config = AutoConfig.for_model(family, **settings)
    assert 777 in lengths_named_in(config)
    assert lengths_named_in(config) <= numbers_in(config)


def test_sizes_of_layers_are_numbers_but_no_lengths():
    config = AutoConfig.for_model("llama", hidden_size=704, num_attention_heads=11, num_key_value_heads=11)
    assert {704, 11} <= numbers_in(config)
    assert not {704, 11} & lengths_named_in(config)
