"""Reading prompts once changes no result: losses, gradients and generated tokens equal those of the full pass."""

import pytest
import torch

from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.conditioned_model import condition as condition_batch
from kdzoo.engine.prompts.probe.choice import choose_way
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full, PrefixCached
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences, Source

LIMITS = SamplingLimits(6, (2,))
WAYS = ("prompt", "on", "in step")


def condition(model, prompts, way, packs=False):
    """The model on the prompts: "off" for the full pass, or prefix-cached.

    Then each "prompt" by itself, also "in step" with what others may read, or "on" for shared beginnings too.
    """
    rows = [EncodedExample(i, prompt, [2]) for i, prompt in enumerate(prompts)]
    batch = make_batch(rows, share_beginnings=way == "on")
    assert batch.examples == [row.index for row in rows], "the prompts are in the order that shares most"
    chosen = Full() if way == "off" else PrefixCached(packs=packs, repeatable=False, in_step=way == "in step")
    generator = StepGenerator(0, 0, batch.examples)
    return condition_batch(model, batch, LIMITS, generator, source=Source.STUDENT, way=chosen, trains=True)


def gradients_of(model):
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def loss_and_gradients(model, prompts, way, loss_of):
    model.zero_grad()
    loss = loss_of(condition(model, prompts, way))
    loss.backward()
    return loss.item(), gradients_of(model)


def same_sequences(a, b):
    return torch.equal(a.lengths, b.lengths) and torch.equal(
        a.tokens.masked_fill(~a.mask, 0), b.tokens.masked_fill(~b.mask, 0)
    )


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize(
    "architecture", ["llama", "qwen2", "codegen", "gpt_neox", "mistral", "gemma", "gemma2", "gpt2"]
)
class TestEveryArchitecture:
    @pytest.mark.parametrize("way", WAYS)
    def test_loss_and_gradients_equal_the_ordinary_ones(
        self, make_model, architecture, lora, way, prompts, targets
    ):
        if lora and architecture == "gpt2":
            pytest.skip("peft's all-linear needs fan_in_fan_out for GPT-2's Conv1D")
        model = make_model(architecture, lora=lora)
        other = Sequences.of([[*row[:3], 2] for row in targets.tokens.tolist()], Source.IMPERFECT)

        def loss_of(conditioned):
            return conditioned.cross_entropy(targets) + 0.5 * conditioned.cross_entropy(other)

        expected, expected_gradients = loss_and_gradients(model, prompts, "off", loss_of)
        loss, gradients = loss_and_gradients(model, prompts, way, loss_of)
        assert loss == pytest.approx(expected, rel=1e-5)
        assert (gradients - expected_gradients).norm() <= 1e-5 * expected_gradients.norm()

    def test_sequences_packed_into_one_row_change_nothing(
        self, make_model, architecture, lora, prompts, targets
    ):
        if lora and architecture == "gpt2":
            pytest.skip("peft's all-linear needs fan_in_fan_out for GPT-2's Conv1D")
        model = make_model(architecture, lora=lora)
        assert choose_way(model, "student", prompt=40, output=6).packs
        changed = targets.tokens.clone()
        changed[:, 2::3] = 7
        imperfect = targets.rewritten(changed, Source.IMPERFECT)
        pair = targets.beside(Sequences.of([[5, 2]] * len(prompts), Source.TEACHER))

        def loss_of(conditioned):
            conditioned.score_together(imperfect, targets, pair)
            of_pair = conditioned.cross_entropy(pair)
            return (
                conditioned.cross_entropy(imperfect, labels=targets)
                + conditioned.cross_entropy(targets)
                + of_pair
            )

        expected, expected_gradients = loss_and_gradients(model, prompts, "off", loss_of)
        model.zero_grad()
        loss = loss_of(condition(model, prompts, "on", packs=True))
        loss.backward()
        assert loss.item() == pytest.approx(expected, rel=1e-5)
        assert (gradients_of(model) - expected_gradients).norm() <= 1e-5 * expected_gradients.norm()

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("temperature", [0.0, 1.0])
    def test_generation_gives_the_tokens_of_generate(
        self, make_model, architecture, lora, way, temperature, prompts
    ):
        if lora and architecture == "gpt2":
            pytest.skip("peft's all-linear needs fan_in_fan_out for GPT-2's Conv1D")
        model = make_model(architecture, lora=lora)
        expected = condition(model, prompts, "off").generate(temperature=temperature)
        assert same_sequences(condition(model, prompts, way).generate(temperature=temperature), expected)


class TestBranches:
    @pytest.mark.parametrize("way", WAYS)
    def test_several_sequences_per_prompt_score_like_one_at_a_time(self, make_model, prompts, targets, way):
        model = make_model("llama")
        other = Sequences.of([[7, 8, 2]] * len(prompts), Source.TEACHER)
        together = condition(model, prompts, way).logits(targets.beside(other))
        apart = [condition(model, prompts, way).logits(part) for part in (targets, other)]
        width = targets.tokens.shape[1]
        torch.testing.assert_close(together[0::2, :width], apart[0])
        torch.testing.assert_close(together[1::2, :3], apart[1])

    def test_generation_of_some_rows_leaves_the_others_empty(self, make_model, prompts):
        model = make_model("llama")
        rows = torch.tensor([i % 3 == 0 for i in range(len(prompts))])
        whole = condition(model, prompts, "on").generate()
        some = condition(model, prompts, "on").generate(rows=rows)
        assert torch.equal(some.lengths, whole.lengths.where(rows, torch.tensor(0)))
        for row in rows.nonzero().flatten().tolist():
            length = int(some.lengths[row])
            assert some.tokens[row, :length].tolist() == whole.tokens[row, :length].tolist()

    def test_generation_before_the_loss_does_not_change_its_gradients(self, make_model, prompts, targets):
        model = make_model("llama")

        def loss_after_generation(conditioned):
            conditioned.generate()
            return conditioned.cross_entropy(targets)

        plain = loss_and_gradients(model, prompts, "on", lambda c: c.cross_entropy(targets))
        after = loss_and_gradients(model, prompts, "on", loss_after_generation)
        assert after[0] == plain[0]
        assert torch.equal(after[1], plain[1])

    def test_mixed_precision_keeps_gradients_after_a_pass_without_them(self, make_model, prompts, targets):
        """Autocast keeps casts of weights, and older versions of torch kept those made without gradients."""
        model = make_model("llama")
        with torch.autocast("cpu", torch.bfloat16):
            plain = loss_and_gradients(model, prompts, "on", lambda c: c.cross_entropy(targets))[1]

            def loss_after_generation(conditioned):
                conditioned.generate(temperature=0)
                return conditioned.cross_entropy(targets)

            after = loss_and_gradients(model, prompts, "on", loss_after_generation)[1]
        assert (after - plain).norm() <= 0.02 * plain.norm()

    def test_dropout_is_off_without_gradients_and_on_with_them(self, make_model, prompts, targets):
        model = make_model("gpt2", resid_pdrop=0.5).train()
        conditioned = condition(model, prompts, "on")
        argmax = [conditioned.per_token(targets, lambda logits: logits.argmax(-1)) for _ in range(2)]
        assert torch.equal(*argmax)
        losses = {condition(model, prompts, "on").cross_entropy(targets).item() for _ in range(3)}
        assert len(losses) == 3
        assert model.training


@pytest.mark.parametrize("way", ["off", "prompt", "on"])
@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("opt", {"dropout": 0.5}),
        ("bloom", {"hidden_dropout": 0.5, "hidden_size": 32, "n_layer": 2, "n_head": 4}),
    ],
)
def test_dropout_that_is_a_number_is_off_in_whatever_has_no_gradients(
    make_model, prompts, targets, architecture, settings, way
):
    model = make_model(architecture, **settings)
    expected = [condition(model.eval(), prompts, way).generate(temperature=0)]
    expected += [condition(model, prompts, way).per_token(targets, lambda logits: logits.logsumexp(-1))]
    conditioned = condition(model.train(), prompts, way)
    assert same_sequences(conditioned.generate(temperature=0), expected[0])
    torch.testing.assert_close(
        conditioned.per_token(targets, lambda logits: logits.logsumexp(-1)), expected[1]
    )
    losses = {condition(model, prompts, way).cross_entropy(targets).item() for _ in range(3)}
    assert len(losses) == 3, "training is with dropout"
    assert all(module.training for module in model.modules())
