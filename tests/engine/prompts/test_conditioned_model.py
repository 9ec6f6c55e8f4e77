"""A model on a batch's prompts: what it gives by token, against plain transformers, one row at a time."""

import random

import pytest
import torch

from kdzoo.engine.losses import scored_hidden_states as scored_module
from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.conditioned_model import condition
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full, PrefixCached
from kdzoo.errors import RunError
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences, Source

VOCABULARY = 50
LIMITS = SamplingLimits(6, (2,), vocabulary=VOCABULARY)
WAYS = [Full(), PrefixCached()]


@pytest.fixture
def model(make_model):
    return make_model("llama")


def on_prompts(model, prompts, way, *, share_beginnings=True, trains=True):
    rows = [EncodedExample(i, prompt, [2]) for i, prompt in enumerate(prompts)]
    batch = make_batch(rows, share_beginnings=share_beginnings)
    generator = StepGenerator(0, 0, batch.examples)
    return condition(model, batch, LIMITS, generator, source=Source.STUDENT, way=way, trains=trains)


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

    def test_several_values_by_token_of_several_inputs(self, model, prompts, targets, way):
        inputs = torch.rand(*targets.tokens.shape, 3)
        values = on_prompts(model, prompts, way).per_token(
            targets, lambda logits, given: logits.logsumexp(-1)[:, None] + given, inputs=inputs
        )
        assert values.shape == inputs.shape
        for row, (prompt, sequence) in enumerate(zip(prompts, rows_of(targets), strict=True)):
            expected = alone(model, prompt, sequence)[:, :VOCABULARY].logsumexp(-1)[:, None]
            expected = expected + inputs[row, : len(sequence)]
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
        lambda several, layers: (runs.append(len(several)), run_together(several, layers))[1],
    )
    total = (
        conditioned.cross_entropy(targets)
        + conditioned.cross_entropy(other)
        + conditioned.cross_entropy(targets)
    )
    total.backward()
    assert runs == [2]


# each way to run the model after the prompts: how, and whether beginnings are shared
EVERY_WAY = {
    "on": (PrefixCached(), True),
    "on, packed": (PrefixCached(packs=True), True),
    "prompt": (PrefixCached(), False),
    "off": (Full(), False),
    "row by row": (Full(1), False),
}


@pytest.fixture(params=EVERY_WAY)
def conditioned(request):
    """Conditions a model in one of the ways."""
    way, share_beginnings = EVERY_WAY[request.param]
    return lambda model, prompts, **settings: on_prompts(
        model, prompts, way, share_beginnings=share_beginnings, **settings
    )


@pytest.fixture
def pair(prompts, targets):
    """Two sequences after each prompt; in some places both are alike."""
    source = random.Random(3)
    others = [
        [*row[: len(row) // 2], *(source.randrange(3, VOCABULARY) for _ in range(source.randrange(1, 6)))]
        for row in rows_of(targets)
    ]
    return targets.beside(Sequences.of(others, Source.IMPERFECT))


def gradients_of(model):
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def gradients_after(model, loss):
    model.zero_grad()
    loss.backward()
    return gradients_of(model)


def assert_same_gradients(ours, expected):
    assert (ours - expected).norm() <= 1e-6 * expected.norm()


class TestLogProbs:
    @pytest.fixture
    def targets(self, targets):
        """Their tokens are labels too: all of the shared vocabulary."""
        return targets.rewritten(targets.tokens % VOCABULARY, Source.GROUND_TRUTH)

    @pytest.fixture(params=[1, 7, 10_000], ids=lambda tokens: f"chunks of {tokens}")
    def chunks(self, request, monkeypatch):
        monkeypatch.setattr(scored_module, "CHUNK_ELEMENTS", request.param * 60)

    @pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
    def test_they_and_their_gradients_are_those_of_the_logits(
        self, make_model, prompts, pair, conditioned, chunks, lora
    ):
        model = make_model("llama", lora=lora).double()
        labels = pair.rewritten((pair.tokens + 5) % VOCABULARY, Source.TEACHER)
        weights = torch.randn(pair.tokens.shape, dtype=torch.float64)
        ours = conditioned(model, prompts).log_probs(pair, labels)
        logits = conditioned(model, prompts).logits(pair)
        expected = logits.log_softmax(-1).gather(2, labels.tokens[..., None]).squeeze(-1) * pair.mask
        assert ours.dtype == torch.float32
        assert not ours[~pair.mask].any()
        torch.testing.assert_close(ours.double(), expected, rtol=1e-6, atol=1e-6)
        theirs = gradients_after(model, (weights * expected).sum())
        assert_same_gradients(gradients_after(model, (weights * ours).sum()), theirs)

    def test_the_head_s_lora_learns_from_them(self, make_model, prompts, targets, conditioned, chunks):
        """PEFT's "all-linear" leaves the head out."""
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(
            make_model("llama"), LoraConfig(target_modules=["lm_head"], init_lora_weights=False)
        ).double()
        ours = gradients_after(model, conditioned(model, prompts).log_probs(targets).sum())
        logits = conditioned(model, prompts).logits(targets)
        expected = (
            logits.log_softmax(-1).gather(2, targets.tokens[..., None]).squeeze(-1) * targets.mask
        ).sum()
        theirs = gradients_after(model, expected)
        assert theirs.norm() > 0
        assert_same_gradients(ours, theirs)

    def test_labels_are_the_sequences_unless_given_and_gradients_follow_the_caller(
        self, model, prompts, targets, conditioned
    ):
        on = conditioned(model, prompts)
        assert torch.equal(on.log_probs(targets), on.log_probs(targets, labels=targets))
        assert on.log_probs(targets).requires_grad
        with torch.no_grad():
            assert not on.log_probs(targets).requires_grad

    def test_labels_of_other_lengths_are_refused(self, model, prompts, targets, conditioned):
        on = conditioned(model, prompts)
        other = Sequences(targets.tokens, targets.lengths.roll(1), targets.sources)
        for ask in (on.log_probs, on.cross_entropy):
            with pytest.raises(RunError, match="labels must have the lengths"):
                ask(targets, labels=other)


class TestHidden:
    LAYERS = (0, 1, -1)

    def alone(self, model, prompt, sequence):
        """The layers' hidden states [T, H] of one row by an ordinary forward pass."""
        states = model(input_ids=torch.tensor([prompt + sequence]), output_hidden_states=True).hidden_states
        return [states[layer][0, len(prompt) - 1 : -1] for layer in self.LAYERS]

    @pytest.mark.parametrize("architecture", ["llama", "llama with LoRA", "gpt2", "gemma", "codegen"])
    def test_they_and_their_gradients_are_those_of_an_ordinary_forward(
        self, make_model, prompts, pair, conditioned, architecture
    ):
        model = make_model(architecture.split()[0], lora="LoRA" in architecture).double()
        found = conditioned(model, prompts).hidden(pair, self.LAYERS)
        weights = torch.randn(len(found), *found[0].shape, dtype=torch.float64)
        gradients = gradients_after(
            model, sum((w * one).sum() for w, one in zip(weights, found, strict=True))
        )
        total = torch.zeros(())
        for row, sequence in enumerate(rows_of(pair)):
            for number, expected in enumerate(self.alone(model, prompts[row // 2], sequence)):
                ours = found[number][row, : len(sequence)]
                torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)  # a norm may be in float32
                assert not found[number][row, len(sequence) :].any()
                total = total + (weights[number, row, : len(sequence)] * expected).sum()
        assert_same_gradients(gradients, gradients_after(model, total))

    def test_gradient_checkpointing_changes_nothing(self, make_model, prompts, targets):
        model = make_model("llama").double().train()

        def loss():
            hidden = on_prompts(model, prompts, Full()).hidden(targets, (0, 1, 2))
            return sum(states.square().sum() for states in hidden)

        expected = gradients_after(model, loss())
        model.gradient_checkpointing_enable({"use_reentrant": False})
        assert_same_gradients(gradients_after(model, loss()), expected)

    def test_nothing_is_scored_and_nothing_is_hidden(self, model, prompts, conditioned):
        nothing = Sequences.of([[]] * len(prompts), Source.STUDENT)
        assert [h.shape for h in conditioned(model, prompts).hidden(nothing, (0, -1))] == [
            (len(prompts), 0, 32)
        ] * 2

    def test_a_layer_that_is_not_there_is_named(self, model, prompts, targets, conditioned):
        with pytest.raises(RunError, match="no layer 3; the model has 0 to 2"):
            conditioned(model, prompts).hidden(targets, (3,))


class TestOneRun:
    """Whatever is asked of the same sequences, the model runs over them once, if it is known which layers are wanted."""

    @pytest.fixture
    def targets(self, targets):
        return targets.rewritten(targets.tokens % VOCABULARY, Source.GROUND_TRUTH)

    @pytest.fixture
    def passes(self, model):
        """The number of tokens in each call of the first layer."""
        seen = []
        model.model.layers[0].register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[1]))
        return seen

    def test_losses_and_hidden_states_of_announced_layers_take_one_run(
        self, model, prompts, targets, conditioned, passes
    ):
        conditioned(model, prompts).cross_entropy(targets)
        once = list(passes)
        passes.clear()
        on = conditioned(model, prompts)
        on.capture(1)
        on.capture(-1, 1)
        total = on.cross_entropy(targets) + on.log_probs(targets).sum() + on.logits(targets).sum()
        (total + sum(h.sum() for h in on.hidden(targets, (-1, 1)))).backward()
        assert passes == once

    def test_so_do_those_of_a_model_without_gradients(self, model, prompts, targets, conditioned, passes):
        """The core scores a teacher without gradients; a loss that asks it for more is in another grad mode."""
        on = conditioned(model, prompts, trains=False)
        on.capture(1)
        with torch.no_grad():
            states = on.eval_states(targets)
        once = len(passes)
        assert len(states) == targets.mask.sum()
        (hidden,) = on.hidden(targets, (1,))
        on.per_token(targets, lambda logits: logits.logsumexp(-1))
        assert not on.log_probs(targets).requires_grad
        assert not hidden.requires_grad
        assert len(passes) == once

    def test_layers_that_were_not_announced_are_right_and_take_another_run(
        self, model, prompts, targets, conditioned, passes
    ):
        on = conditioned(model, prompts)
        on.cross_entropy(targets)
        once = len(passes)
        late = on.hidden(targets, (0, 1))
        assert len(passes) > once
        for one, other in zip(late, conditioned(model, prompts).hidden(targets, (0, 1)), strict=True):
            torch.testing.assert_close(one, other)

    def test_what_is_announced_is_captured_of_all_that_are_scored_together(
        self, model, prompts, targets, passes
    ):
        on = on_prompts(model, prompts, PrefixCached(packs=True))
        other = Sequences.of([[7, 2]] * len(prompts), Source.IMPERFECT)
        on.score_together(targets, other)
        on.capture(1)
        on.cross_entropy(targets)
        once = len(passes)
        torch.testing.assert_close(
            on.hidden(other, (1,))[0],
            on_prompts(model, prompts, Full()).hidden(other, (1,))[0],
            rtol=1e-4,
            atol=1e-4,
        )
        assert len(passes) == once + 1, "the other model's"

    def test_nothing_is_kept_without_gradients_unless_layers_are_captured(
        self, model, prompts, targets, conditioned
    ):
        on = conditioned(model, prompts, trains=False)
        assert on.eval_states(targets) is not on.eval_states(targets)

    def test_a_model_that_does_not_train_is_in_eval_mode(self, make_model, prompts, targets, conditioned):
        model = make_model("gpt2", resid_pdrop=0.5).train()
        on = conditioned(model, prompts, trains=False)
        assert torch.equal(on.log_probs(targets), on.log_probs(targets))
        assert torch.equal(*(on.hidden(targets, (2,))[0] for _ in range(2)))
        assert model.training
