"""The made-up batch has the lengths of a run, and each way of running it gives what the rows have alone."""

import pytest

from kdzoo.engine.prompts.probe.batch import Probe
from kdzoo.engine.prompts.probe.rounding import distance

EXACT = 1e-5


def test_its_rows_are_as_long_and_its_batch_as_wide_as_a_run_can_make_them(make_model):
    probe = Probe.of_run(make_model("llama"), 90, 10)
    assert max(len(prompt) for prompt in probe.prompts) == 90
    assert int(probe.sequences.lengths.max()) == 10
    assert probe.grouped.beginning.shape[1] == 89
    assert probe.grouped.width == 89 + 73, (
        "a long beginning without a rest, beside a short one with long rests"
    )
    assert probe.apart.width == 89


@pytest.mark.parametrize("width", [100, 101, 140, 172])
def test_it_can_be_made_as_wide_as_a_window(make_model, width):
    probe = Probe.of_run(make_model("llama"), 90, 10, width)
    assert probe.grouped.width + 10 == width
    assert max(len(prompt) for prompt in probe.prompts) <= 90


@pytest.mark.parametrize(("prompt", "output"), [(1, 1), (2, 1), (1, 5), (5, 2), (24, 1)])
def test_runs_of_hardly_any_tokens_are_tried_too(make_model, prompt, output):
    probe = Probe.of_run(make_model("llama"), prompt, output)
    alone = probe.alone()
    for rows in (probe.together(), probe.shared(probe.apart), probe.shared(probe.grouped)):
        assert distance(rows, alone, 1.0) < EXACT


def test_a_row_leads_across_a_length_and_not_beyond_the_longest(make_model):
    for length, longest in ((40, 100), (40, 41), (4, 8)):
        probe = Probe.across(make_model("llama"), length, longest)
        (prompt,) = probe.prompts
        assert len(prompt) < length < len(prompt) + int(probe.sequences.lengths) <= longest


def test_packed_sequences_are_those_that_are_repeated(make_model):
    probe = Probe.of_run(make_model("llama"), 40, 6)
    assert distance(probe.packed(probe.grouped), probe.repeated(probe.grouped), 1.0) < EXACT


def test_it_notices_factors_that_change_between_prompt_and_sequence(make_model):
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "original_max_position_embeddings": 60,
        "short_factor": [1.0] * 4,
        "long_factor": [4.0] * 4,
    }
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2}
    model = make_model("phi3", **sizes, rope_parameters=rope, original_max_position_embeddings=60)
    apart = {}
    for length in (40, 60):
        probe = Probe.across(model, length, 100)
        apart[length] = distance(probe.shared(probe.apart), probe.alone(), 1.0)
    assert apart[40] < EXACT
    assert apart[60] > 1e-2
