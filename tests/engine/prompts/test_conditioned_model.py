"""A model on a batch's prompts: what it gives by token, against plain transformers, one row at a time."""

import pytest
import torch

from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.conditioned_model import condition
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full, PrefixCached
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences, Source

VOCABULARY = 50
LIMITS = SamplingLimits(6, (2,), vocabulary=VOCABULARY)
WAYS = [Full(), PrefixCached()]


@pytest.fixture
def model(make_model):
    return make_model("llama")


def on_prompts(model, prompts, way):
    rows = [EncodedExample(i, prompt, [2]) for i, prompt in enumerate(prompts)]
    batch = make_batch(rows, share_beginnings=True)
    generator = StepGenerator(0, 0, batch.examples)
    return condition(model, batch, LIMITS, generator, source=Source.STUDENT, way=way, trains=True)


def alone(model, prompt, sequence):
    """Logits [T, V] of one row by plain transformers."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([prompt + sequence])).logits[0, len(prompt) - 1 : -1]


def rows_of(sequences):
    return [row[:n] for row, n in zip(sequences.tokens.tolist(), sequences.lengths.tolist(), strict=True)]


@pytest.mark.parametrize("way", WAYS, ids=["full", "prefix-cached"])
class TestByToken:
    def test_logits_predict_each_token_within_the_shared_vocabulary(self, model, prompts, targets, way):
        logits = on_prompts(model, prompts, way).logits(targets)
        assert logits.shape == (*targets.tokens.shape, VOCABULARY)
        for row, (prompt, sequence) in enumerate(zip(prompts, rows_of(targets), strict=True)):
            expected = alone(model, prompt, sequence)[:, :VOCABULARY]
            torch.testing.assert_close(logits[row, : len(sequence)], expected, rtol=1e-4, atol=1e-4)
            assert not logits[row, len(sequence) :].any()

    def test_values_by_token_are_a_function_of_its_logits_and_inputs(self, model, prompts, targets, way):
        inputs = torch.arange(targets.tokens.numel(), dtype=torch.float32).reshape(targets.tokens.shape)
        where = targets.tokens % 2 == 0
        values = on_prompts(model, prompts, way).per_token(
            targets, lambda logits, given: logits.logsumexp(-1) + given, inputs=inputs, where=where
        )
        for row, (prompt, sequence) in enumerate(zip(prompts, rows_of(targets), strict=True)):
            expected = alone(model, prompt, sequence)[:, :VOCABULARY].logsumexp(-1)
            expected = (expected + inputs[row, : len(sequence)]) * where[row, : len(sequence)]
            torch.testing.assert_close(values[row, : len(sequence)], expected, rtol=1e-4, atol=1e-4)
            assert not values[row, len(sequence) :].any()

    def test_cross_entropy_is_the_mean_over_all_tokens_of_all_rows(self, model, prompts, targets, way):
        loss = on_prompts(model, prompts, way).cross_entropy(targets)
        total = sum(
            -alone(model, prompt, sequence)
            .double()
            .log_softmax(-1)[range(len(sequence)), sequence]
            .sum()
            .item()
            for prompt, sequence in zip(prompts, rows_of(targets), strict=True)
        )
        assert loss.item() == pytest.approx(total / sum(map(len, rows_of(targets))), rel=1e-5)

    def test_only_generated_tokens_of_the_shared_vocabulary(self, model, prompts, way):
        with torch.no_grad():
            model.lm_head.weight[VOCABULARY:] *= 30  # it would like nothing better than the others
        generated = on_prompts(model, prompts, way).generate(temperature=1.0)
        assert generated.tokens.max() < VOCABULARY


def test_one_pass_serves_all_losses_on_the_same_sequences(model, prompts, targets, monkeypatch):
    conditioned = on_prompts(model, prompts, PrefixCached())
    other = Sequences.of([[7, 2]] * len(prompts), Source.IMPERFECT)
    conditioned.score_together(targets, other)
    runs = []
    run_together = conditioned._forward.run_together
    monkeypatch.setattr(
        conditioned._forward,
        "run_together",
        lambda several: (runs.append(len(several)), run_together(several))[1],
    )
    total = (
        conditioned.cross_entropy(targets)
        + conditioned.cross_entropy(other)
        + conditioned.cross_entropy(targets)
    )
    total.backward()
    assert runs == [2]
