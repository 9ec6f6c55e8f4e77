"""Generating for many prompts, by either engine, against choosing token by token from whole forward passes."""

import pytest
import torch

from kdzoo.engine.measure.generation import generate_all
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sampling import next_tokens
from kdzoo.methods.sequences import Source

END = 2


def step_by_step(model, example, limits, temperature):
    """Choose each token from the logits of one forward pass over everything before it."""
    uniform = StepGenerator(0, 0, [example.index]).per_row(limits.output)[0]
    tokens = []
    while len(tokens) < limits.output and END not in tokens:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([example.prompt + tokens])).logits[:, -1]
        number = uniform[len(tokens)][None]
        tokens.append(next_tokens(logits[:, : limits.vocabulary], temperature, number).item())
    return tokens


@pytest.mark.parametrize("sharing", ["on", "off"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("vocabulary", [None, 12])
def test_tokens_are_those_chosen_step_by_step(make_model, prompts, temperature, vocabulary, sharing):
    model = make_model("llama").eval()
    limits = SamplingLimits(6, (END,), vocabulary)
    examples = [EncodedExample(5 * i + 1, prompt, []) for i, prompt in enumerate(prompts)]
    expected = {e.index: step_by_step(model, e, limits, temperature) for e in examples}
    for batch_size in (3, 8):
        generated = generate_all(
            model,
            examples,
            limits,
            source=Source.STUDENT,
            batch_size=batch_size,
            temperature=temperature,
            sharing=sharing,
        )
        assert dict(generated) == expected
    largest = max(token for tokens in expected.values() for token in tokens)
    assert (largest < 12) == (vocabulary == 12)


@pytest.mark.parametrize("sharing", ["on", "off"])
def test_any_of_several_ends_ends_a_sequence(make_model, prompts, sharing):
    model = make_model("llama").eval()
    # two tokens that the model says in the middle of its texts
    said = [
        step_by_step(model, EncodedExample(0, prompt, []), SamplingLimits(8, (END,)), 0.0)
        for prompt in prompts
    ]
    ends = (said[0][2], said[1][3])
    settings = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": list(ends), "pad_token_id": 0}
    expected = {}
    for index, prompt in enumerate(prompts):
        tokens = torch.tensor([prompt])
        output = model.generate(input_ids=tokens, attention_mask=torch.ones_like(tokens), **settings)
        expected[index] = output[0, len(prompt) :].tolist()
    examples = [EncodedExample(index, prompt, []) for index, prompt in enumerate(prompts)]
    generated = generate_all(
        model, examples, SamplingLimits(8, ends), source=Source.STUDENT, batch_size=8, sharing=sharing
    )
    assert dict(generated) == expected
    # each is met, and only as the last token
    assert {tokens[-1] for tokens in expected.values()} >= {*ends}
    assert not any({*tokens[:-1]} & {*ends} for tokens in expected.values())
