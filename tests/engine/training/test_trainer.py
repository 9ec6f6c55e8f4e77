"""Training steps: splits of a batch change nothing, interrupted runs end in the same weights."""

import random
import types
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast, TrainingArguments

from kdzoo import hookimpl
from kdzoo.engine.prompts.batches import EncodedExample, EncodedExamples, make_batch
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.training.distillation_module import DistillationModule, count_tokens
from kdzoo.engine.training.trainer import KDTrainer
from kdzoo.methods import registry
from kdzoo.runs.training.train import choose_method

VOCABULARY = 60


def make_tokenizer():
    words = {"<pad>": 0, "<s>": 1, "</s>": 2, **{f"t{i}": i for i in range(3, VOCABULARY)}}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="<pad>")),
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
    )


def make_examples(count, seed=0):
    source = random.Random(seed)
    draw = lambda n: [source.randrange(3, VOCABULARY) for _ in range(n)]  # noqa: E731
    beginnings = [draw(20), draw(24)]
    return [
        EncodedExample(
            i,
            beginnings[i % 2] + draw(source.randrange(1, 6)),
            [*draw(source.randrange(1, 7)), 2],
            group=str(i % 2),
            teacher_target=[*draw(source.randrange(1, 5)), 2],
        )
        for i in range(count)
    ]


@pytest.fixture
def make_module(make_model):
    def make(method, sharing="on", lora=False, architecture="llama", **options):
        registered = registry.find(method).method
        student = make_model(architecture, seed=1, lora=lora)
        return DistillationModule(
            student,
            make_model(architecture, seed=2) if registered.uses_teacher else None,
            choose_method(method, registered.options(**options)),
            make_tokenizer(),
            SamplingLimits(6, (2,)),
            seed=0,
            sharing=sharing,
        )

    return make


METHODS = [
    ("sft", {}),
    ("fkd", {}),
    ("rkd", {"kd_weight": 0.5}),
    ("kid", {}),
    ("kid", {"mle_context": "imperfect", "strategy": "hard", "sample": True}),
    ("kid", {"strategy": "uniform", "rewrite": "mask_only"}),
    ("gkd", {}),
    ("gkd", {"lambda": 0.5, "seq_kd": True, "divergence": "jsd"}),
    ("imitkd", {}),
    ("fdistill", {}),
    ("fdistill", {"divergence": "js", "mix": "both"}),
]
NAMES = [f"{name}-{'-'.join(str(v) for v in options.values())}".strip("-") for name, options in METHODS]


def gradients_of(module):
    return torch.cat([p.grad.flatten() for p in module.student.parameters() if p.grad is not None])


def step_of(module, examples):
    """The loss of one step and its gradients."""
    loss = module(make_batch(examples, share_beginnings=module.shares_beginnings))
    loss.backward()
    return loss.item(), gradients_of(module)


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "codegen", "gpt_neox", "mistral", "gemma"])
@pytest.mark.parametrize(
    ("method", "options"),
    [("sft", {}), ("fkd", {}), ("rkd", {}), ("kid", {}), ("fdistill", {"divergence": "kl"})],
    ids=["sft", "fkd", "rkd", "kid", "fdistill"],
)
def test_sharing_changes_no_step_of_any_architecture(make_module, method, options, architecture, lora):
    results = [
        step_of(make_module(method, way, lora, architecture, **options), make_examples(8))
        for way in ("off", "prompt", "on")
    ]
    (expected, expected_gradients), *shared = results
    for loss, gradients in shared:
        assert loss == pytest.approx(expected, rel=1e-5)
        assert (gradients - expected_gradients).norm() <= 1e-5 * expected_gradients.norm()


@pytest.mark.parametrize(("method", "options"), METHODS, ids=NAMES)
class TestEveryMethod:
    @pytest.mark.parametrize("sharing", ["prompt", "on"])
    def test_sharing_does_not_change_a_step(self, make_module, method, options, sharing):
        (expected, expected_gradients), (loss, gradients) = (
            step_of(make_module(method, way, **options), make_examples(8)) for way in ("off", sharing)
        )
        assert loss == pytest.approx(expected, rel=1e-5)
        assert (gradients - expected_gradients).norm() <= 1e-5 * expected_gradients.norm()

    def test_a_batch_in_parts_gives_the_loss_and_gradients_of_the_whole(
        self, make_module, method, options, tmp_path, monkeypatch
    ):
        make = lambda: make_module(method, **options)  # noqa: E731
        assert_parts_are_the_whole(make, tmp_path, monkeypatch)


def assert_parts_are_the_whole(make, folder, monkeypatch):
    """One step of 16 examples at once, and in parts of 4."""
    results = []
    for micro in (16, 4):
        module = make()
        arguments = TrainingArguments(
            str(folder / str(micro)),
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=16 // micro,
            max_steps=1,
            learning_rate=0.0,
            max_grad_norm=0.0,
            save_strategy="no",
            report_to="none",
            logging_steps=1,
            disable_tqdm=True,
            remove_unused_columns=False,
            use_cpu=True,
        )
        trainer = KDTrainer(module, EncodedExamples(make_examples(16)), arguments)
        seen = {}
        monkeypatch.setattr(
            torch.optim.AdamW,
            "step",
            lambda self, *_, module=module, seen=seen: seen.update(g=gradients_of(module)),
        )
        trainer.train()
        loss = next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
        results.append((loss, seen["g"]))
    (whole, whole_gradients), (parts, part_gradients) = results
    assert parts == pytest.approx(whole, rel=1e-5)
    assert (part_gradients - whole_gradients).norm() <= 1e-5 * whole_gradients.norm()


@pytest.mark.parametrize("draws_before", [0, 1, 3])
def test_a_loss_draws_on_where_the_sequences_have_stopped(make_module, tmp_path, monkeypatch, draws_before):
    """Random numbers of both hooks: a batch in parts makes its sequences ahead, in a pass of their own."""

    def make_training_sequence(step):
        for _ in range(draws_before):
            step.generator.per_row(2)
        return step.target

    def aux_loss(step):
        drawn = step.generator.per_row(1).expand(step.target.tokens.shape)[step.target.mask]
        log_q = step.student.logits(step.target)[step.target.mask].log_softmax(-1)
        nll = -log_q.gather(1, step.target.tokens[step.target.mask][:, None])[:, 0]
        return (nll * drawn).sum() / len(drawn)

    def make():
        module = make_module("sft")
        plugin = types.ModuleType("random_loss")
        plugin.register_method = hookimpl(lambda: registry.find("sft").method)
        plugin.make_training_sequence = hookimpl(make_training_sequence)
        plugin.aux_loss = hookimpl(aux_loss)
        hooks = registry.hooks_of(registry.plugin_of(plugin))
        module.method = replace(module.method, hooks=hooks, makes_sequences=True)
        return module

    assert_parts_are_the_whole(make, tmp_path, monkeypatch)


def test_the_loss_is_the_mean_over_scored_tokens_of_the_divergence_plus_the_mean_nll(make_module):
    """KID's default step, computed by hand from ordinary forward passes in float64."""
    module = make_module("kid")
    (teacher,) = module._teacher
    examples = make_examples(6)
    batch = make_batch(examples, share_beginnings=True)
    loss = module(batch)
    imperfect = module.with_training_sequence(batch).training_sequence
    student, teacher = module.student.double(), teacher.double()
    divergence = nll = tokens = 0.0
    for row, prompt in enumerate(batch.prompts):
        length = int(batch.target.lengths[row])
        y, y_hat = (s.tokens[row, :length].tolist() for s in (batch.target, imperfect))

        def log_probabilities(model, sequence, prompt=prompt):
            logits = model(torch.tensor([prompt + sequence])).logits[0]
            return logits[len(prompt) - 1 : -1].log_softmax(-1)

        with torch.no_grad():
            log_q, log_p = log_probabilities(student, y_hat), log_probabilities(teacher, y_hat)
            divergence += (log_q.exp() * (log_q - log_p)).sum().item()
            nll -= log_probabilities(student, y)[torch.arange(length), y].sum().item()
        tokens += length
    assert loss.item() == pytest.approx((divergence + nll) / tokens, rel=1e-5)


def test_counts_are_of_all_parts():
    examples = make_examples(4)
    parts = [make_batch(examples[i : i + 2], share_beginnings=False).target for i in (0, 2)]
    counts = count_tokens(parts, parts)
    assert counts.scored == counts.target == sum(len(e.target) for e in examples)


def test_a_teacher_is_not_trained_and_not_saved(make_module):
    module = make_module("rkd")
    assert not any("teacher" in name for name, _ in module.named_parameters())
    (teacher,) = module._teacher
    assert not teacher.training
    module(make_batch(make_examples(4), share_beginnings=True)).backward()
    assert all(p.grad is None for p in teacher.parameters())


def test_lora_trains_the_adapters_alone(make_model):
    model = get_peft_model(
        make_model("llama"), LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    module = DistillationModule(
        model,
        None,
        choose_method("sft", registry.find("sft").method.options()),
        make_tokenizer(),
        SamplingLimits(6, (2,)),
        seed=0,
    )
    module(make_batch(make_examples(4), share_beginnings=True)).backward()
    assert {n for n, p in model.named_parameters() if p.grad is not None} == {
        n for n, _ in model.named_parameters() if "lora" in n
    }


@pytest.mark.parametrize("sharing", ["on", "off"])
@pytest.mark.parametrize("method", ["kid", "gkd", "fdistill"])
def test_the_teacher_is_never_given_a_token_that_only_the_student_has(make_model, method, sharing):
    """Vocabularies are padded to different sizes; a token beyond the teacher's would have no embedding there."""
    student = make_model("llama", seed=1, vocabulary=VOCABULARY + 40)
    with torch.no_grad():
        student.lm_head.weight[VOCABULARY:] *= 30  # it would like nothing better
    module = DistillationModule(
        student,
        make_model("llama", seed=2),
        choose_method(method, registry.find(method).method.options()),
        make_tokenizer(),
        SamplingLimits(6, (2,)),
        seed=0,
        sharing=sharing,
    )
    for start in (0, 8):
        batch = make_batch(make_examples(16)[start : start + 8], share_beginnings=sharing == "on")
        assert module.with_training_sequence(batch).training_sequence.tokens.max() < VOCABULARY
        assert torch.isfinite(module(batch))
