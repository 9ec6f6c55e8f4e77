"""Which way is chosen for a model, and what the log says of it."""

from contextlib import nullcontext

import pytest
import torch

from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.conditioned_model import condition
from kdzoo.engine.prompts.probe import choice, trial
from kdzoo.engine.prompts.probe.batch import Probe
from kdzoo.engine.prompts.probe.choice import choose_way
from kdzoo.engine.prompts.probe.trial import Trial
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full, PrefixCached
from kdzoo.errors import UserError
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Source

LIMITS = SamplingLimits(6, (2,))
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


class TestChoice:
    """Which way is chosen, and what the log says; that each is right is shown for all architectures elsewhere."""

    def test_a_state_space_model_is_run_in_the_ordinary_way(self, make_model, caplog):
        model = make_model("mamba", hidden_size=32, num_hidden_layers=2, state_size=8)
        assert choose_way(model, "student", prompt=90, output=10, trains=True) == Full()
        (line,) = caplog.messages
        assert "the student (MambaForCausalLM) is computed without prompt sharing" in line

    def test_gradient_checkpointing_of_layers_allows_sharing(self, make_model, caplog):
        model = make_model("llama").train()
        model.activation_checkpointing_enable({"use_reentrant": False})
        assert isinstance(choose_way(model, "student", prompt=90, output=10, trains=True), PrefixCached)
        assert not caplog.text

    def test_another_kind_of_gradient_checkpointing_forbids_sharing_in_training_only(
        self, make_model, caplog
    ):
        model = make_model("llama").train()
        model.model.gradient_checkpointing = True  # and none of its layers
        assert choose_way(model, "student", prompt=90, output=10, trains=True) == Full()
        assert "checkpointing" in caplog.text
        assert isinstance(choose_way(model, "student", prompt=90, output=10), PrefixCached)

    @pytest.mark.parametrize(
        ("window", "widest"),
        [(100, 100), (150, 150), (200, None)],
        ids=["as long as the longest row", "between row and padded columns", "wider than any batch"],
    )
    def test_a_window_bounds_the_columns_of_shared_beginnings(self, make_model, window, widest):
        way = choose_way(make_model("mistral", sliding_window=window), "student", prompt=90, output=10)
        assert way == PrefixCached(packs=True, widest=widest)

    def test_a_window_shorter_than_the_longest_row_forbids_sharing(self, make_model, caplog):
        model = make_model("mistral", sliding_window=64)
        assert choose_way(model, "student", prompt=90, output=10) == Full()
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
        assert batch.prefix_groups.width + LIMITS.output > 80
        for way, width in ((PrefixCached(), batch.prefix_groups.width), (PrefixCached(widest=80), 51)):
            conditioned = condition(
                model, batch, LIMITS, StepGenerator(0, 0, batch.examples), source=Source.STUDENT, way=way
            )
            assert conditioned._forward._groups.width == width

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
        assert choose_way(model, "student", prompt=70, output=6) == Full(1)
        (line,) = caplog.messages
        assert "without prompt sharing" in line
        assert "row by row" in line
        assert choose_way(model, "student", prompt=50, output=6) == PrefixCached(packs=True)

    def test_bfloat16_is_held_to_its_own_rounding(self, make_model, caplog):
        right = make_model("llama").bfloat16()
        assert choose_way(right, "student", prompt=90, output=10) == PrefixCached(packs=True)
        sizes = {"d_model": 32, "n_layers": 2, "n_heads": 4}
        counts_columns = make_model("mpt", **sizes).bfloat16()
        assert choose_way(counts_columns, "teacher", prompt=90, output=10) == Full()
        assert "the teacher (MptForCausalLM) is computed without prompt sharing" in caplog.text
        short_window = make_model("gpt_neo", hidden_size=32, num_layers=2, num_heads=4, **_LOCAL).bfloat16()
        assert choose_way(short_window, "student", prompt=90, output=10) == Full()

    def test_logits_that_are_scaled_after_the_projection_are_noticed(self, make_model, caplog):
        model = make_model("granite", hidden_size=32, num_hidden_layers=1, num_attention_heads=4)
        model.config.logits_scaling = 7.0
        assert choose_way(model, "student", prompt=90, output=10) == Full()
        assert "differ" in caplog.text

    @pytest.mark.parametrize("sharing", ["on", "off"])
    def test_rows_that_depend_on_each_other_are_run_one_by_one(self, make_model, caplog, sharing):
        """As where experts take no more than so many tokens of a batch."""
        model = make_model("llama")

        def compete(module, given, output):
            return output - 0.5 * output.mean(dim=0, keepdim=True)

        model.model.layers[0].mlp.register_forward_hook(compete)
        assert choose_way(model, "student", prompt=90, output=10, sharing=sharing) == Full(1)
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
        assert isinstance(choose_way(model, "student", prompt=50, output=6), PrefixCached)

    @pytest.mark.parametrize(
        ("architecture", "settings"),
        [
            ("gpt2", {"attn_pdrop": 0.1}),
            ("llama", {"attention_dropout": 0.1}),
            ("opt", {"dropout": 0.1}),
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

    def test_models_that_are_made_alike_are_tried_once_and_each_is_told_of(
        self, make_model, caplog, monkeypatch
    ):
        sizes = {"d_model": 32, "n_layers": 2, "n_heads": 4}
        longest = {"prompt": 61, "output": 7}
        made = []
        monkeypatch.setattr(choice, "Trial", lambda *given: made.append(given[1]) or Trial(*given))
        for role, seed in (("student", 0), ("teacher", 1)):
            model = make_model("mpt", seed=seed, **sizes)
            assert choose_way(model, role, **longest) == Full()
        assert made == ["student"]
        first, second = caplog.messages
        assert first.replace("student", "teacher") == second
        choose_way(model, "student", **longest, trains=True)
        choose_way(model, "student", **longest, sharing="off")
        choose_way(model, "student", prompt=62, output=7)
        choose_way(model, "student", prompt=61, output=8)
        model.lm_head.register_forward_hook(lambda module, given, output: output)
        choose_way(model, "hooked", **longest)
        choose_way(model, "hooked", **longest)
        assert made == ["student"] * 5 + ["hooked"] * 2

    @pytest.mark.parametrize("sharing", ["on", "off"])
    @pytest.mark.parametrize(
        ("architecture", "settings"),
        [
            ("llama", {}),
            ("llama", {"attention_dropout": 0.1}),
            ("llama", {"lora": True}),
            ("mistral", {"sliding_window": 64}),
            ("mistral", {"sliding_window": 100}),
            ("gemma2", {}),
            ("gpt_neox", {}),
            ("gpt2", {"n_layer": 5}),
            ("codegen", {"n_layer": 5}),
            ("mpt", {"d_model": 32, "n_layers": 5, "n_heads": 4}),
            ("mamba", {"hidden_size": 32, "state_size": 8}),
        ],
        ids=str,
    )
    def test_what_the_first_layers_of_a_deep_model_show_is_what_the_whole_shows(
        self, make_model, monkeypatch, architecture, settings, sharing
    ):
        count = {} if {"n_layer", "n_layers"} & settings.keys() else {"num_hidden_layers": 5}
        model = make_model(architecture, **{**settings, **count})
        found = Trial(model, "student", 90, 10, True).found(sharing)
        monkeypatch.setattr(trial, "first_layers", lambda model: nullcontext(False))
        assert Trial(model, "student", 90, 10, True).found(sharing) == found

    def test_the_whole_is_run_where_its_first_layers_show_a_fault_or_something_hangs_on_it(
        self, make_model, monkeypatch
    ):
        run = []
        alone = Probe.alone

        def counted(probe):
            run.append(len(probe.model.model.layers))
            return alone(probe)

        monkeypatch.setattr(Probe, "alone", counted)
        model = make_model("llama", num_hidden_layers=5)
        assert not Trial(model, "student", 40, 6, False).found("on").faults
        assert set(run) == {2}
        run.clear()
        model.model.layers[4].register_forward_hook(
            lambda module, given, output: output - 0.5 * output.mean(dim=0, keepdim=True)
        )
        assert Trial(model, "student", 40, 6, False).found("on").faults
        assert set(run) == {5}
        run.clear()
        narrow = make_model("mistral", num_hidden_layers=5, sliding_window=16)
        assert Trial(narrow, "student", 40, 6, False).found("on").faults
        assert set(run) == {2, 5}

    def test_a_model_that_is_refused_is_refused_again(self, make_model):
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
        for role in ("student", "teacher"):
            with pytest.raises(UserError, match=rf"the {role} \(BertLMHeadModel\) is no causal"):
                choose_way(make_model("bert", **sizes), role, prompt=30, output=10)

    def test_trying_leaves_modes_and_random_numbers_as_they_were(self, make_model):
        model = make_model("gpt2", resid_pdrop=0.5).train()
        model.transformer.h[0].eval()
        modes, state = [m.training for m in model.modules()], torch.get_rng_state()
        choose_way(model, "student", prompt=40, output=6, trains=True)
        assert [m.training for m in model.modules()] == modes
        assert torch.equal(torch.get_rng_state(), state)
