"""Generating for many prompts, by either engine, against choosing token by token from whole forward passes."""

import pytest
import torch

from kdzoo.engine.batches import EncodedExample
from kdzoo.engine.generation import generate_all
from kdzoo.engine.sampling import SamplingLimits, next_tokens
from kdzoo.randomness import StepGenerator
from kdzoo.sequences import Kind

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


@pytest.mark.parametrize("sharing", [True, False], ids=["shared", "ordinary"])
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
            kind=Kind.STUDENT,
            batch_size=batch_size,
            temperature=temperature,
            sharing=sharing,
        )
        assert dict(generated) == expected
    largest = max(token for tokens in expected.values() for token in tokens)
    assert (largest < 12) == (vocabulary == 12)
