"""The logits that tokens are chosen by while a model generates, beside those of whole forward passes."""

import pytest

from kdzoo.engine.prompts.probe.generation import generated_logits
from kdzoo.engine.prompts.probe.rounding import distance
from kdzoo.engine.prompts.way import Full

EXACT = 1e-5


@pytest.mark.parametrize(
    ("architecture", "way", "right"),
    [
        ("llama", Full(), True),
        ("llama", Full(1), True),
        ("llama", Full(1, caches=False), True),
        ("roberta", Full(1), False),
        ("roberta", Full(1, caches=False), True),
    ],
)
def test_generation_is_compared_with_whole_forward_passes(make_model, architecture, way, right):
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "is_decoder": True}
    model = make_model(architecture, **(sizes if architecture == "roberta" else {})).eval()
    ours, alone = generated_logits(model, [[5, 6, 7], [8] * 20], way, 4)
    assert [len(row) for row in ours] == [len(row) for row in alone]
    assert (distance(ours, alone, 1.0) < EXACT) == right
