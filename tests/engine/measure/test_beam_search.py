"""Beam search for many prompts against transformers' generate on one prompt at a time."""

import pytest
import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from kdzoo.engine.measure import beam_search
from kdzoo.engine.measure.beam_search import search_all
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full

END = 2


class Cut(LogitsProcessor):
    """The distribution over the first tokens of the vocabulary alone."""

    def __init__(self, vocabulary):
        self.vocabulary = vocabulary

    def __call__(self, input_ids, scores):
        cut = torch.full_like(scores, -torch.inf)
        cut[:, : self.vocabulary] = scores[:, : self.vocabulary].log_softmax(-1)
        return cut


def alone(model, prompt, limits, beams):
    """What generate finds for one prompt, without padding."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    settings = GenerationConfig(
        max_new_tokens=limits.output,
        num_beams=beams,
        do_sample=False,
        eos_token_id=list(limits.end_ids),
        pad_token_id=limits.end_ids[0],
    )
    tokens = torch.tensor([prompt])
    with torch.no_grad():
        found = inner.generate(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            generation_config=settings,
            logits_processor=LogitsProcessorList([Cut(limits.vocabulary or 60)]),
        )
    return found[0, len(prompt) :].tolist()


def searched(model, prompts, limits, *, beams=3, batch_size=9):
    examples = [EncodedExample(5 * i + 1, prompt, []) for i, prompt in enumerate(prompts)]
    found = list(search_all(model, examples, limits, role="teacher", beams=beams, batch_size=batch_size))
    assert len(found) == len(examples)
    return [dict(found)[example.index] for example in examples]


@pytest.mark.parametrize("vocabulary", [None, 12])
@pytest.mark.parametrize("beams", [2, 5])
def test_it_finds_what_generate_finds_for_each_prompt_alone(make_model, prompts, beams, vocabulary):
    model = make_model("llama").eval()
    limits = SamplingLimits(6, (END,), vocabulary)
    expected = [alone(model, prompt, limits, beams) for prompt in prompts]
    for batch_size in (1, 3 * beams, 99):
        assert searched(model, prompts, limits, beams=beams, batch_size=batch_size) == expected
    greedy = [alone(model, prompt, limits, 1) for prompt in prompts]
    assert greedy != expected
    assert (max(token for ids in expected for token in ids) < 12) == (vocabulary == 12)


def test_any_of_several_ends_ends_a_sequence_and_stands_last(make_model, prompts):
    model = make_model("llama").eval()
    said = [alone(model, prompt, SamplingLimits(8, (END,)), 3) for prompt in prompts]
    limits = SamplingLimits(8, (said[0][2], said[1][3]))
    found = searched(model, prompts, limits)
    assert found == [
        alone(model, prompt, limits, 3)[: len(ids)] for prompt, ids in zip(prompts, found, strict=True)
    ]
    assert {ids[-1] for ids in found} & {*limits.end_ids}
    assert not any({*ids[:-1]} & {*limits.end_ids} for ids in found)
    # what generate puts behind an end, where another prompt's sequence is longer, is no part of it
    assert len({len(ids) for ids in found}) > 1


@pytest.mark.parametrize("architecture", ["qwen2", "codegen", "gpt2", "opt"])
def test_of_other_architectures_with_adapters_and_in_training_mode(make_model, prompts, architecture):
    model = make_model(architecture, lora=True).train()
    limits = SamplingLimits(5, (END,))
    found = searched(model, prompts, limits)
    assert not model.training
    assert found == [alone(model, prompt, limits, 3) for prompt in prompts]


def test_what_a_checkpoint_presets_counts_for_nothing(make_model, prompts):
    model = make_model("llama").eval()
    limits = SamplingLimits(6, (END,))
    expected = [alone(model, prompt, limits, 3) for prompt in prompts]
    preset = GenerationConfig(repetition_penalty=5.0, min_new_tokens=6, length_penalty=-3.0, do_sample=True)
    model.generation_config = preset
    assert searched(model, prompts, limits) == expected
    assert model.generation_config is preset


def test_a_model_that_cannot_be_padded_is_searched_row_by_row(make_model, prompts, monkeypatch):
    model = make_model("bloom", hidden_size=32, n_layer=2, n_head=4).eval()
    monkeypatch.setattr(beam_search, "choose_way", lambda *_, **__: Full(1, caches=False))
    widths = []
    generate = type(model).generate
    monkeypatch.setattr(
        type(model),
        "generate",
        lambda self, **given: (widths.append(given["input_ids"].shape), generate(self, **given))[1],
    )
    limits = SamplingLimits(4, (END,))
    found = searched(model, prompts, limits)
    assert widths == sorted(((1, len(prompt)) for prompt in prompts), reverse=True)
    monkeypatch.undo()
    assert found == [alone(model, prompt, limits, 3) for prompt in prompts]


def test_no_prompts(make_model):
    assert searched(make_model("llama"), [], SamplingLimits(4, (END,))) == []
