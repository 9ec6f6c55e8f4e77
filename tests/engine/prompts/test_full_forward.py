"""The ordinary computation against the plain model, row by row: padding, positions, and what generation is told."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import GenerationConfig

from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.conditioned_model import condition
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full, PrefixCached
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sampling import next_tokens
from kdzoo.methods.sequences import Sequences, Source

LIMITS = SamplingLimits(7, (2,))
WAYS = ("together", "row by row", "without cache", "shared")


def conditioned(model, prompts, way):
    rows = [EncodedExample(i, prompt, [2]) for i, prompt in enumerate(prompts)]
    batch = make_batch(rows, share_beginnings=False)
    chosen = {
        "together": Full(),
        "row by row": Full(1),
        "without cache": Full(1, caches=False),
        "shared": PrefixCached(),
    }[way]
    generator = StepGenerator(0, 0, batch.examples)
    return condition(model, batch, LIMITS, generator, source=Source.STUDENT, way=chosen)


def step_by_step(model, prompts, temperature):
    """Choose each token from the logits of one plain forward pass over one row."""
    uniform = StepGenerator(0, 0, range(len(prompts))).per_row(LIMITS.output)
    texts = []
    for prompt, numbers in zip(prompts, uniform, strict=True):
        text = []
        while len(text) < LIMITS.output and 2 not in text:
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([prompt + text])).logits[:, -1]
            text.append(next_tokens(logits, temperature, numbers[len(text)][None]).item())
        texts.append(text)
    return texts


def texts_of(sequences):
    pairs = zip(sequences.tokens.tolist(), sequences.lengths.tolist(), strict=True)
    return [tokens[:length] for tokens, length in pairs]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_the_checkpoints_generation_settings_change_nothing(make_model, prompts, way, temperature, lora):
    model = make_model("llama").eval()
    if lora:
        model = get_peft_model(model, LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM"))
    expected = step_by_step(model, prompts, temperature)
    assert any(len(set(text)) < len(text) for text in expected), "there is something to repeat"
    first = expected[0][0]
    preset = GenerationConfig(
        do_sample=True,
        temperature=0.3,
        top_k=1,
        top_p=0.1,
        num_beams=1,
        repetition_penalty=50.0,
        no_repeat_ngram_size=1,
        min_length=100,
        min_new_tokens=7,
        suppress_tokens=[first],
        begin_suppress_tokens=[first],
        bad_words_ids=[[first]],
        forced_bos_token_id=7,
        forced_eos_token_id=9,
        exponential_decay_length_penalty=(1, 5.0),
        eos_token_id=[first],
        max_length=3,
    )
    inner = model.get_base_model() if lora else model
    model.generation_config = inner.generation_config = preset
    assert texts_of(conditioned(model, prompts, way).generate(temperature=temperature)) == expected
    assert inner.generation_config is preset


@pytest.mark.parametrize("way", WAYS)
def test_some_rows_are_generated_with_their_own_numbers(make_model, prompts, way):
    model = make_model("llama").eval()
    expected = step_by_step(model, prompts, 1.0)
    rows = torch.tensor([i % 3 == 1 for i in range(len(prompts))])
    made = texts_of(conditioned(model, prompts, way).generate(temperature=1.0, rows=rows))
    assert made == [text if chosen else [] for text, chosen in zip(expected, rows.tolist(), strict=True)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("architecture", "table"),
    [("gpt2", "n_positions"), ("codegen", "n_positions"), ("opt", "max_position_embeddings")],
)
def test_no_padding_needs_a_position_that_the_model_lacks(make_model, architecture, table, way):
    """One prompt is nearly as long as the table, beside long rests and long sequences of short prompts."""
    opt = {"hidden_size": 32, "word_embed_proj_dim": 32, "ffn_dim": 48, "num_hidden_layers": 2}
    sizes = {**opt, "num_attention_heads": 4, "dropout": 0.0} if architecture == "opt" else {}
    model = make_model(architecture, **sizes, **{table: 64}).eval()
    source = torch.Generator().manual_seed(0)
    draw = lambda n: torch.randint(3, 60, (n,), generator=source).tolist()  # noqa: E731
    long, short = draw(44), draw(17)
    prompts = [long + draw(2), long + draw(1), short + draw(28), short + draw(25), draw(58)]
    targets = [draw(n) for n in (3, 18, 2, 9, 6)]
    sequences = Sequences.of(targets, Source.GROUND_TRUTH)
    logits = conditioned(model, prompts, way).logits(sequences)
    for row, (prompt, target) in enumerate(zip(prompts, targets, strict=True)):
        plain = model(input_ids=torch.tensor([prompt + target])).logits[0, len(prompt) - 1 : -1]
        torch.testing.assert_close(logits[row, : len(target)], plain, rtol=1e-5, atol=1e-5)


def test_a_batch_without_any_scored_token_gives_no_states(make_model, prompts):
    nothing = Sequences.of([[]] * len(prompts), Source.STUDENT)
    states = conditioned(make_model("llama"), prompts, "together").scored_states(nothing)
    assert (len(states), states.vocabulary) == (0, 60)


def test_rows_that_are_run_one_by_one_are_neither_padded_nor_masked(make_model, prompts, targets):
    model = make_model("llama")
    seen = []

    def record(module, given, settings):
        seen.append(settings)

    model.register_forward_pre_hook(record, with_kwargs=True)
    conditioned(model, prompts, "row by row").cross_entropy(targets)
    lengths = [len(p) + n for p, n in zip(prompts, targets.lengths.tolist(), strict=True)]
    assert [settings["input_ids"].shape for settings in seen] == [(1, length) for length in lengths]
    assert not any("attention_mask" in settings for settings in seen)


class TestLogits:
    @pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
    def test_the_ordinary_way_leaves_out_the_logits_of_the_prompt(self, make_model, prompts, targets, lora):
        model = make_model("llama", lora=lora)
        shapes = []
        model.get_output_embeddings().register_forward_hook(lambda *call: shapes.append(call[-1].shape))
        conditioned(model, prompts, "together").cross_entropy(targets)
        assert shapes == [(len(prompts), targets.tokens.shape[1] + 1, model.config.vocab_size)]

    def test_an_architecture_that_gives_all_logits_scores_the_same(
        self, make_model, prompts, targets, monkeypatch
    ):
        model = make_model("llama")
        fewer = conditioned(model, prompts, "together").logits(targets)
        monkeypatch.setattr(model, "_supports_logits_to_keep", lambda: False)
        torch.testing.assert_close(conditioned(model, prompts, "together").logits(targets), fewer)
