"""Sharing the prompt must not change any result: losses, gradients and generated tokens equal the ordinary ones."""

import pytest
import torch

from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.conditioning import condition as condition_batch
from kdzoo.engine.prompts.full_forward import FullForward
from kdzoo.engine.prompts.prefix_cached import PrefixCachedForward
from kdzoo.engine.prompts.prefix_groups import group_prefixes
from kdzoo.engine.prompts.probe.choice import choose_way
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Ordinary, Shared
from kdzoo.errors import UserError
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Kind, Sequences

LIMITS = SamplingLimits(6, (2,))
_OPT = {
    "hidden_size": 32,
    "word_embed_proj_dim": 32,
    "ffn_dim": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "attention_dropout": 0.0,
    "max_position_embeddings": 64,
}
_MOE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_local_experts": 4,
}
_LOCAL = {
    "attention_types": [[["global", "local"], 1]],
    "window_size": 64,
    "embed_dropout": 0.0,
    "attention_dropout": 0.0,
    "resid_dropout": 0.0,
}
WAYS = ("prompt", "groups")


def condition(model, prompts, way, packs=False):
    generator = StepGenerator(0, 0, range(len(prompts)))
    if way == "ordinary":
        return FullForward(model, prompts, LIMITS, generator, kind=Kind.STUDENT)
    layout = group_prefixes(prompts, share_beginnings=way == "groups")
    return PrefixCachedForward(model, layout, LIMITS, generator, kind=Kind.STUDENT, trains=True, packs=packs)


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
        other = Sequences.of([[*row[:3], 2] for row in targets.tokens.tolist()], Kind.IMPERFECT)

        def loss_of(conditioned):
            return conditioned.cross_entropy(targets) + 0.5 * conditioned.cross_entropy(other)

        expected, expected_gradients = loss_and_gradients(model, prompts, "ordinary", loss_of)
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
        imperfect = targets.rewritten(changed, Kind.IMPERFECT)
        pair = targets.beside(Sequences.of([[5, 2]] * len(prompts), Kind.TEACHER))

        def loss_of(conditioned):
            conditioned.score_together(imperfect, targets, pair)
            of_pair = conditioned.cross_entropy(pair)
            return (
                conditioned.cross_entropy(imperfect, labels=targets)
                + conditioned.cross_entropy(targets)
                + of_pair
            )

        expected, expected_gradients = loss_and_gradients(model, prompts, "ordinary", loss_of)
        model.zero_grad()
        loss = loss_of(condition(model, prompts, "groups", packs=True))
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
        expected = condition(model, prompts, "ordinary").generate(temperature=temperature)
        assert same_sequences(condition(model, prompts, way).generate(temperature=temperature), expected)


class TestBranches:
    @pytest.mark.parametrize("way", WAYS)
    def test_several_sequences_per_prompt_score_like_one_at_a_time(self, make_model, prompts, targets, way):
        model = make_model("llama")
        other = Sequences.of([[7, 8, 2]] * len(prompts), Kind.TEACHER)
        together = condition(model, prompts, way).logits(targets.beside(other))
        apart = [condition(model, prompts, way).logits(part) for part in (targets, other)]
        width = targets.tokens.shape[1]
        torch.testing.assert_close(together[0::2, :width], apart[0])
        torch.testing.assert_close(together[1::2, :3], apart[1])

    def test_generation_of_some_rows_leaves_the_others_empty(self, make_model, prompts):
        model = make_model("llama")
        rows = torch.tensor([i % 3 == 0 for i in range(len(prompts))])
        whole = condition(model, prompts, "groups").generate()
        some = condition(model, prompts, "groups").generate(rows=rows)
        assert torch.equal(some.lengths, whole.lengths.where(rows, torch.tensor(0)))
        for row in rows.nonzero().flatten().tolist():
            length = int(some.lengths[row])
            assert some.tokens[row, :length].tolist() == whole.tokens[row, :length].tolist()

    def test_generation_before_the_loss_does_not_change_its_gradients(self, make_model, prompts, targets):
        model = make_model("llama")

        def loss_after_generation(conditioned):
            conditioned.generate()
            return conditioned.cross_entropy(targets)

        plain = loss_and_gradients(model, prompts, "groups", lambda c: c.cross_entropy(targets))
        after = loss_and_gradients(model, prompts, "groups", loss_after_generation)
        assert after[0] == plain[0]
        assert torch.equal(after[1], plain[1])

    def test_mixed_precision_keeps_gradients_after_a_pass_without_them(self, make_model, prompts, targets):
        """Autocast keeps casts of weights, and older versions of torch kept those made without gradients."""
        model = make_model("llama")
        with torch.autocast("cpu", torch.bfloat16):
            plain = loss_and_gradients(model, prompts, "groups", lambda c: c.cross_entropy(targets))[1]

            def loss_after_generation(conditioned):
                conditioned.generate(temperature=0)
                return conditioned.cross_entropy(targets)

            after = loss_and_gradients(model, prompts, "groups", loss_after_generation)[1]
        assert (after - plain).norm() <= 0.02 * plain.norm()

    def test_dropout_is_off_without_gradients_and_on_with_them(self, make_model, prompts, targets):
        model = make_model("gpt2", resid_pdrop=0.5).train()
        conditioned = condition(model, prompts, "groups")
        argmax = [conditioned.per_token(targets, lambda logits: logits.argmax(-1)) for _ in range(2)]
        assert torch.equal(*argmax)
        losses = {condition(model, prompts, "groups").cross_entropy(targets).item() for _ in range(3)}
        assert len(losses) == 3
        assert model.training


class TestFallback:
    @pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
    def test_the_ordinary_way_leaves_out_the_logits_of_the_prompt(self, make_model, prompts, targets, lora):
        model = make_model("llama", lora=lora)
        shapes = []
        model.get_output_embeddings().register_forward_hook(lambda *call: shapes.append(call[-1].shape))
        condition(model, prompts, "ordinary").cross_entropy(targets)
        assert shapes == [(len(prompts), targets.tokens.shape[1] + 1, model.config.vocab_size)]

    def test_an_architecture_that_gives_all_logits_scores_the_same(
        self, make_model, prompts, targets, monkeypatch
    ):
        model = make_model("llama")
        fewer = condition(model, prompts, "ordinary").logits(targets)
        monkeypatch.setattr(model, "_supports_logits_to_keep", lambda: False)
        torch.testing.assert_close(condition(model, prompts, "ordinary").logits(targets), fewer)


class TestChoice:
    """Which way is chosen, and what the log says; that each is right is shown for all architectures elsewhere."""

    def test_a_state_space_model_is_run_in_the_ordinary_way(self, make_model, caplog):
        model = make_model("mamba", hidden_size=32, num_hidden_layers=2, state_size=8)
        assert choose_way(model, "student", prompt=90, output=10, trains=True) == Ordinary()
        (line,) = caplog.messages
        assert "the student (MambaForCausalLM) is computed without prompt sharing" in line

    def test_gradient_checkpointing_forbids_sharing_in_training_only(self, make_model, caplog):
        model = make_model("llama").train()
        model.gradient_checkpointing_enable()
        assert choose_way(model, "student", prompt=90, output=10, trains=True) == Ordinary()
        assert "checkpointing" in caplog.text
        assert isinstance(choose_way(model, "student", prompt=90, output=10), Shared)

    @pytest.mark.parametrize(
        ("window", "widest"),
        [(100, 100), (150, 150), (200, None)],
        ids=["as long as the longest row", "between row and padded columns", "wider than any batch"],
    )
    def test_a_window_bounds_the_columns_of_shared_beginnings(self, make_model, window, widest):
        way = choose_way(make_model("mistral", sliding_window=window), "student", prompt=90, output=10)
        assert way == Shared(packs=True, widest=widest)

    def test_a_window_shorter_than_the_longest_row_forbids_sharing(self, make_model, caplog):
        model = make_model("mistral", sliding_window=64)
        assert choose_way(model, "student", prompt=90, output=10) == Ordinary()
        assert "differ when the prompt is shared" in caplog.text

    def test_a_batch_wider_than_the_window_shares_no_beginnings(self, make_model):
        model = make_model("mistral", sliding_window=80)
        source = torch.Generator().manual_seed(0)
        draw = lambda n: torch.randint(3, 60, (n,), generator=source).tolist()  # noqa: E731
        long, short = draw(50), draw(17)
        prompts = [long + draw(2), long + draw(1), short + draw(33), short + draw(30)]
        batch = make_batch(
            [EncodedExample(i, p, [5, 2]) for i, p in enumerate(prompts)], share_beginnings=True
        )
        assert batch.layout.width + LIMITS.output > 80
        for way, width in ((Shared(), batch.layout.width), (Shared(widest=80), 51)):
            conditioned = condition_batch(
                model, batch, LIMITS, StepGenerator(0, 0, batch.examples), kind=Kind.STUDENT, way=way
            )
            assert conditioned._layout.width == width

    def test_factors_that_change_below_the_longest_row_forbid_sharing_and_batches(self, make_model, caplog):
        rope = {
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "original_max_position_embeddings": 60,
            "short_factor": [1.0] * 4,
            "long_factor": [4.0] * 4,
        }
        settings = {"rope_parameters": rope, "original_max_position_embeddings": 60}
        sizes = {
            "hidden_size": 32,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "num_hidden_layers": 2,
        }
        model = make_model("phi3", **sizes, **settings)
        assert choose_way(model, "student", prompt=70, output=6) == Ordinary(1)
        (line,) = caplog.messages
        assert "without prompt sharing" in line
        assert "row by row" in line
        assert choose_way(model, "student", prompt=50, output=6) == Shared(packs=True)

    def test_bfloat16_is_held_to_its_own_rounding(self, make_model, caplog):
        right = make_model("llama").bfloat16()
        assert choose_way(right, "student", prompt=90, output=10) == Shared(packs=True)
        sizes = {"d_model": 32, "n_layers": 2, "n_heads": 4}
        counts_columns = make_model("mpt", **sizes).bfloat16()
        assert choose_way(counts_columns, "teacher", prompt=90, output=10) == Ordinary()
        assert "the teacher (MptForCausalLM) is computed without prompt sharing" in caplog.text
        short_window = make_model("gpt_neo", hidden_size=32, num_layers=2, num_heads=4, **_LOCAL).bfloat16()
        assert choose_way(short_window, "student", prompt=90, output=10) == Ordinary()

    def test_logits_that_are_scaled_after_the_projection_are_noticed(self, make_model, caplog):
        model = make_model("granite", hidden_size=32, num_hidden_layers=1, num_attention_heads=4)
        model.config.logits_scaling = 7.0
        assert choose_way(model, "student", prompt=90, output=10) == Ordinary()
        assert "differ" in caplog.text

    @pytest.mark.parametrize("sharing", ["on", "off"])
    def test_rows_that_depend_on_each_other_are_run_one_by_one(self, make_model, caplog, sharing):
        """As where experts take no more than so many tokens of a batch."""
        model = make_model("llama")

        def compete(module, given, output):
            return output - 0.5 * output.mean(dim=0, keepdim=True)

        model.model.layers[0].mlp.register_forward_hook(compete)
        assert choose_way(model, "student", prompt=90, output=10, sharing=sharing) == Ordinary(1)
        (line,) = caplog.messages
        assert "row by row" in line

    def test_a_model_that_sees_later_tokens_is_refused_by_name(self, make_model):
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
        with pytest.raises(UserError, match=r"the student \(BertLMHeadModel\) is no causal language model"):
            choose_way(make_model("bert", **sizes), "student", prompt=90, output=10)

    def test_a_model_that_remembers_what_it_was_run_on_is_refused_beyond_that_length(self, make_model):
        rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
        model = make_model("llama", max_position_embeddings=60, rope_parameters=rope)
        with pytest.raises(UserError, match="more than 60 tokens"):
            choose_way(model, "student", prompt=70, output=6)
        assert isinstance(choose_way(model, "student", prompt=50, output=6), Shared)

    @pytest.mark.parametrize(
        ("architecture", "settings"),
        [
            ("gpt2", {"attn_pdrop": 0.1}),
            ("llama", {"attention_dropout": 0.1}),
            ("opt", {"dropout": 0.1, **_OPT}),
            ("phimoe", {"router_jitter_noise": 0.1, **_MOE}),
        ],
    )
    def test_a_prompt_read_in_training_mode_is_used_again_only_without_noise(
        self, make_model, architecture, settings
    ):
        longest = {"prompt": 40, "output": 6, "trains": True}
        assert not choose_way(make_model(architecture, **settings), "student", **longest).repeatable
        quiet = {name: value for name, value in settings.items() if value != 0.1}
        off = {name: 0.0 for name in settings if name not in quiet}
        assert choose_way(make_model(architecture, **quiet, **off), "student", **longest).repeatable

    def test_trying_leaves_modes_and_random_numbers_as_they_were(self, make_model):
        model = make_model("gpt2", resid_pdrop=0.5).train()
        model.transformer.h[0].eval()
        modes, state = [m.training for m in model.modules()], torch.get_rng_state()
        choose_way(model, "student", prompt=40, output=6, trains=True)
        assert [m.training for m in model.modules()] == modes
        assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("way", ["ordinary", "prompt", "groups"])
@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("opt", {"dropout": 0.5, **_OPT}),
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
