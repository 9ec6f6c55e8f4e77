"""One training step: its loss by hand, and that sharing prompts does not change it."""

import traceback
import types
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from keeping_method import HOOKS, keeping
from tiny_training import BEGINNING, METHODS, NAMES, make_examples, step_of
from transformers import TrainingArguments

import kdzoo
from kdzoo import LossSum
from kdzoo.engine.prompts.batches import EncodedExamples, make_batch
from kdzoo.engine.training.distillation_module import count_tokens
from kdzoo.engine.training.trainer import KDTrainer
from kdzoo.errors import RunError
from kdzoo.methods import registry
from kdzoo.methods.sequences import Source


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


def test_the_loss_is_the_mean_over_scored_tokens_of_the_divergence_plus_the_mean_nll(make_module):
    """KID's default step, computed by hand from ordinary forward passes in float64."""
    module = make_module("kid")
    teacher = module.models.underlying("teacher")
    examples = make_examples(6)
    batch = make_batch(examples, share_beginnings=True)
    loss = module(batch, BEGINNING).total
    imperfect = module.with_training_sequence(batch, BEGINNING).training_sequence
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


def test_both_sources_weigh_alike_whatever_their_lengths(make_module):
    """f-distill's original: the mean of the two sources' means, by hand from ordinary forward passes in float64."""
    module = make_module("fdistill", mix="both")
    teacher = module.models.underlying("teacher")
    batch = make_batch(make_examples(6), share_beginnings=True)
    loss = module(batch, BEGINNING).total
    sequences = module.with_training_sequence(batch, BEGINNING).training_sequence
    student, teacher = module.student.double(), teacher.double()
    distances = {Source.TEACHER: [], Source.STUDENT: []}
    for row, (length, source) in enumerate(
        zip(sequences.lengths.tolist(), sequences.sources.tolist(), strict=True)
    ):
        prompt, tokens = batch.prompts[row // 2], sequences.tokens[row, :length].tolist()
        with torch.no_grad():
            q, p = (
                model(torch.tensor([prompt + tokens])).logits[0, len(prompt) - 1 : -1].softmax(-1)
                for model in (student, teacher)
            )
        distances[source] += (p - q).abs().sum(-1).div(2).tolist()
    assert len(distances[Source.TEACHER]) != len(distances[Source.STUDENT])
    means = [sum(some) / len(some) for some in distances.values()]
    assert loss.item() == pytest.approx(sum(means) / 2, rel=1e-5)


@pytest.mark.parametrize("per", ["target_token", "scored_token", "prompt"])
def test_a_sum_is_divided_by_what_it_is_said_to_be_a_sum_over(make_module, per):
    """Three prompts in two parts: each part's loss is its sum's share of the whole step's."""
    nothing = dict.fromkeys(hook.__name__ for hook in HOOKS)
    hooks = {
        "make_training_sequence": lambda step: step.target.beside(step.target),
        "aux_loss": lambda step: LossSum(step.target.tokens.sum() * 1.0, per=per),
    }
    module = make_module(keeping(**{**nothing, **hooks}))
    examples = make_examples(3)
    batches = [make_batch(part, share_beginnings=True) for part in (examples[:1], examples[1:])]
    made = [module.with_training_sequence(batch, BEGINNING) for batch in batches]
    counts = count_tokens([one.training_sequence for one in made], [one.target for one in made])
    loss = sum(float(module(batch, BEGINNING, counts).total) for batch in made)
    tokens = [len(example.target) for example in examples]
    number = {"target_token": sum(tokens), "scored_token": 2 * sum(tokens), "prompt": 3}[per]
    assert loss == pytest.approx(sum(sum(example.target) for example in examples) / number)


@pytest.mark.parametrize("several", [list, tuple])
def test_terms_of_an_auxiliary_loss_are_each_divided_by_their_own_number(make_module, several):
    def aux_loss(step):
        total = step.target.tokens.sum() * 1.0
        return several([LossSum(total, per="prompt"), total, LossSum(total, per="target_token")])

    module = make_module(keeping(**{**dict.fromkeys(hook.__name__ for hook in HOOKS), "aux_loss": aux_loss}))
    examples = make_examples(3)
    loss = module(make_batch(examples, share_beginnings=True), BEGINNING)
    total, tokens = sum(sum(e.target) for e in examples), sum(len(e.target) for e in examples)
    assert loss.total.item() == pytest.approx(total / 3 + total + total / tokens)
    assert loss.auxiliary.item() == loss.total.item()


def with_hooks(module, **hooks):
    """The module with hooks of our own over those of its method."""
    plugin = types.ModuleType("changed")
    plugin.register_method = kdzoo.hookimpl(lambda: registry.find(module.method.name).method)
    for name in ("make_training_sequence", "divergence", "aux_loss"):
        original = getattr(registry.find(module.method.name).module, name, None)
        hook = hooks.get(name, original)
        if hook is not None:
            setattr(plugin, name, kdzoo.hookimpl(hook))
    module.method = replace(module.method, hooks=registry.hooks_of(registry.plugin_of(plugin)))
    return module


def test_the_way_to_a_divergence_is_short(make_module):
    """A reader follows it through few functions in few files; docs/engine.md names them."""
    seen = []

    def divergence(student_logits, teacher_logits):
        stack = traceback.extract_stack()
        seen.append([frame for frame in stack if "/kdzoo/" in frame.filename])
        return kdzoo.divergences.reverse_kl(student_logits, teacher_logits)

    module = with_hooks(make_module("kid"), divergence=divergence)
    module(make_batch(make_examples(4), share_beginnings=True), BEGINNING)
    (frames,) = seen
    assert [frame.name for frame in frames] == [
        "forward",
        "loss_of",
        "_divergence",
        "sum_over_tokens",
        "per_token",
    ]
    assert len({frame.filename for frame in frames}) == 3


@pytest.mark.parametrize("method", ["kid", "rkd"])
def test_a_method_knows_its_tokens_sources_by_number_unless_they_were_counted_before(
    make_module, method, tmp_path
):
    """Counted before the sequences are made, they could be of any source; the ground truth's are what they are."""
    seen = []

    def divergence(student_logits, teacher_logits, tokens):
        seen.append(tokens.source_shares)
        return kdzoo.divergences.reverse_kl(student_logits, teacher_logits)

    module = with_hooks(make_module(method), divergence=divergence)
    arguments = TrainingArguments(
        str(tmp_path), max_steps=1, save_strategy="no", report_to="none", use_cpu=True, disable_tqdm=True
    )
    arguments.remove_unused_columns = False
    trainer = KDTrainer(module, EncodedExamples(make_examples(4)), arguments)
    if method == "kid":
        with pytest.raises(RunError, match=r"tokens\.source_shares is not known"):
            trainer.train()
    else:
        trainer.train()
        assert set(torch.cat(seen).tolist()) == {1.0}


def test_lengths_that_a_method_has_promised_must_be_kept(make_module):
    module = with_hooks(make_module("kid"), make_training_sequence=lambda step: step.student.generate())
    with pytest.raises(RunError, match="'kid' say keeps_target_lengths"):
        module(make_batch(make_examples(4), share_beginnings=True), BEGINNING)


@pytest.mark.parametrize("sharing", ["off", "prompt", "on"])
def test_hidden_states_that_the_options_name_cost_no_run(make_module, sharing):
    """A feature loss over rkd: each model runs over the training sequence once, and the loss is that of plain passes."""

    class Features(kdzoo.Options):
        hidden_layers: ClassVar = (1, -1)
        teacher_hidden_layers: ClassVar = (-1, 1)

    def divergence(student_logits, teacher_logits):
        return kdzoo.divergences.reverse_kl(student_logits, teacher_logits)

    def distance(step):
        sequences = step.training_sequence
        pairs = zip(
            step.student.hidden(sequences, (1, -1)), step.teacher.hidden(sequences, (1, -1)), strict=True
        )
        return sum((own - other).square().sum() for own, other in pairs) / sequences.lengths.sum()

    def step_and_passes(**hooks):
        module = with_hooks(make_module("rkd", sharing), divergence=divergence, **hooks)
        module.method = replace(module.method, options=Features())
        passes = []
        for model in (module.student, module.models.underlying("teacher")):
            model.model.layers[0].register_forward_hook(lambda *call: passes.append(call))
        batch = make_batch(make_examples(6), share_beginnings=module.shares_beginnings)
        return module, batch, module(batch, BEGINNING), len(passes)

    nothing = lambda: None  # noqa: E731
    *_, passes_without = step_and_passes(aux_loss=nothing)
    module, batch, loss, passes = step_and_passes(aux_loss=distance)
    assert passes == passes_without
    expected = tokens = 0.0
    for prompt, target, length in zip(
        batch.prompts, batch.target.tokens.tolist(), batch.target.lengths.tolist(), strict=True
    ):
        given = torch.tensor([prompt + target[:length]])
        own, other = (
            model(given, output_hidden_states=True).hidden_states
            for model in (module.student, module.models.underlying("teacher"))
        )
        place = slice(len(prompt) - 1, -1)
        for layer in (1, -1):
            expected += (own[layer] - other[layer])[0, place].double().square().sum().item()
        tokens += length
    assert loss.auxiliary.item() == pytest.approx(expected / tokens, rel=1e-5)
