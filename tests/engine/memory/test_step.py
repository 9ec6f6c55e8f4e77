"""What a step keeps, counted on models without numbers: what the real step keeps of the same batch."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from kdzoo.engine.memory.live_bytes import LiveBytes
from kdzoo.engine.memory.shadow import shadow_of
from kdzoo.engine.memory.step import Work, bytes_of_step
from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.conditioned_model import condition
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full, PrefixCached
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Source

SHARED = PrefixCached(packs=True, repeatable=True)
SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2}


@pytest.fixture
def config():
    return AutoConfig.for_model("llama", vocab_size=90, num_hidden_layers=2, **SIZES)


@pytest.fixture
def batch():
    """Two groups of four rows that begin alike."""
    rows = [[*range(3 + row // 4, 63 + row // 4), 70 + row] + [80] * row for row in range(8)]
    return make_batch(
        [EncodedExample(i, row, [5, 6, 7, 2]) for i, row in enumerate(rows)], share_beginnings=True
    )


def counted(config, batch, way, teachers=1):
    def shadow():
        with torch.device("meta"):
            return shadow_of(AutoModelForCausalLM.from_config(config))

    models = [shadow().eval().requires_grad_(False) for _ in range(teachers)]
    return bytes_of_step(shadow(), models, batch, Work(batch.target), way)


@pytest.mark.parametrize("way", [SHARED, Full()], ids=["shared", "full"])
def test_counts_what_the_real_step_keeps(config, batch, way):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).train()
    limits, generator = SamplingLimits(4, (2,)), StepGenerator(0, 0, batch.examples)
    with LiveBytes() as live:
        on_prompts = condition(model, batch, limits, generator, source=Source.STUDENT, way=way, trains=True)
        on_prompts.read_prompts()
        prompts = live.live
        on_prompts.scored_states(batch.target)
        sequences = live.live - prompts
    ours = counted(config, batch, way)
    assert ours.prompts == pytest.approx(prompts, rel=0.02, abs=4096)
    assert ours.sequences == pytest.approx(sequences, rel=0.02, abs=4096)


def test_sharing_keeps_less(config, batch):
    shared, full = counted(config, batch, SHARED), counted(config, batch, Full())
    assert shared.prompts + shared.sequences < 0.6 * (full.prompts + full.sequences)


def test_a_teacher_keeps_its_cache_until_the_loss(config, batch):
    assert counted(config, batch, SHARED, teachers=0).teacher == 0
    one, two = (counted(config, batch, SHARED, teachers=n).teacher for n in (1, 2))
    tokens = 8 * batch.prefix_groups.width
    cache = 2 * 2 * tokens * 2 * 16 * 4  # layers, keys and values, heads, their size, bytes
    assert one >= cache
    assert two == pytest.approx(2 * one, rel=0.05)


@pytest.mark.parametrize(
    ("in_parts", "gradients", "expected"),
    [(False, 10, 160), (False, 200, 220), (True, 200, 360)],
    ids=["until the loss", "gradients at the end", "those of other parts"],
)
def test_the_peak_is_at_one_of_the_ends(in_parts, gradients, expected):
    from kdzoo.engine.memory.step import StepBytes

    taken = StepBytes(prompts=60, sequences=40, teacher=30, losses=30, backward=20)
    assert taken.peak(gradients, in_parts=in_parts) == expected
