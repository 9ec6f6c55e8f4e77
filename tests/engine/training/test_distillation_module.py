"""The module that is trained: which weights learn, and which tokens each model is given."""

from dataclasses import replace

import pytest
import torch
from built_in import METHODS
from peft import LoraConfig, get_peft_model
from tiny_training import BEGINNING, VOCABULARY, make_examples, make_tokenizer, with_prepared

from kdzoo.engine.prompts.batches import make_batch
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.training.chosen_method import choose_method
from kdzoo.engine.training.distillation_module import DistillationModule, count_tokens
from kdzoo.methods import registry
from kdzoo.methods.sequences import Sequences, Source


def test_counts_are_of_all_parts():
    examples = make_examples(4)
    parts = [make_batch(examples[i : i + 2], share_beginnings=False).target for i in (0, 2)]
    counts = count_tokens(parts, parts)
    assert counts.scored == counts.target == sum(len(e.target) for e in examples)


def test_sources_are_counted_over_all_parts_where_the_sequences_are_made():
    target, other = (
        Sequences.of([[3, 4, 2], [2]], source) for source in (Source.GROUND_TRUTH, Source.STUDENT)
    )
    counts = count_tokens([target, target.beside(other), other], [target] * 3)
    assert (counts.scored, counts.target) == (16, 12)
    assert counts.by_source[Source.GROUND_TRUTH] == counts.by_source[Source.STUDENT] == 8
    assert counts.by_source.sum() == 16
    before = count_tokens(None, [target] * 3)
    assert (before.scored, before.target, before.by_source) == (12, 12, None)


def test_there_is_something_to_divide_by_where_nothing_is_scored():
    nothing = Sequences.of([[]], Source.STUDENT)
    counts = count_tokens([nothing], [nothing])
    assert counts.scored == counts.target == 1


def _count_in_a_process(rank, file, results):
    torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    mine = Sequences.of([[3] * (2 + 3 * rank)], (Source.TEACHER, Source.STUDENT)[rank])
    counts = count_tokens([mine], [Sequences.of([[3]], Source.GROUND_TRUTH)])
    results.put((int(counts.scored), int(counts.target), counts.by_source.tolist()))
    torch.distributed.destroy_process_group()


def test_counts_are_of_all_processes(tmp_path):
    context = torch.multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    torch.multiprocessing.spawn(_count_in_a_process, (tmp_path / "meeting", results), nprocs=2)
    by_source = [0] * len(Source)
    by_source[Source.TEACHER], by_source[Source.STUDENT] = 2, 5
    assert [results.get() for _ in range(2)] == [(7, 2, by_source)] * 2


def test_a_teacher_is_not_trained_and_not_saved(make_module):
    module = make_module("rkd")
    assert not any("teacher" in name for name, _ in module.named_parameters())
    teacher = module.models.underlying("teacher")
    assert not teacher.training
    module(make_batch(make_examples(4), share_beginnings=True), BEGINNING).total.backward()
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
    module(make_batch(make_examples(4), share_beginnings=True), BEGINNING).total.backward()
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
        assert module.with_training_sequence(batch, BEGINNING).training_sequence.tokens.max() < VOCABULARY
        assert torch.isfinite(module(batch, BEGINNING).total)


def cut(model, vocabulary):
    """The same model without the tokens that padding has added to it."""
    model.resize_token_embeddings(vocabulary)
    return model


@pytest.mark.parametrize(("of_student", "of_teacher"), [(320, 384), (384, 320)])
@pytest.mark.parametrize("method", [name for name in METHODS if registry.find(name).method.uses_teacher])
def test_every_method_compares_padded_vocabularies_on_what_they_share(
    make_model, method, of_student, of_teacher
):
    """Oracle: the same models without what padding has given to one of them.

    A student that has more tokens than its teacher has them in its own likelihood, which some methods add, and there alone.
    """
    found = []
    for is_cut in (False, True):
        student = make_model("llama", seed=1, vocabulary=of_student)
        teacher = make_model("llama", seed=2, vocabulary=of_teacher)
        if is_cut:
            student, teacher = cut(student, 320), cut(teacher, 320)
        registered = registry.find(method).method
        options = registered.options()
        others = {
            name: teacher
            for name in options.teacher_names
            if name not in ("teacher", "base", "average", "student")
        }
        module = DistillationModule(
            student,
            teacher,
            choose_method(method, options),
            make_tokenizer(),
            SamplingLimits(6, (2,)),
            seed=0,
            steps=4,
            others=others,
        )
        assert module.limits.vocabulary == 320
        examples = make_examples(4)
        if module.method.prepares:
            examples = with_prepared(module, examples)
        batch = make_batch(examples, share_beginnings=True)
        assert module.with_training_sequence(batch, BEGINNING).training_sequence.tokens.max() < 320
        loss = module(batch, BEGINNING)
        loss.total.backward()
        found.append((loss.total, student.get_input_embeddings().weight.grad[:VOCABULARY]))
    (padded, gradients), (cut_loss, cut_gradients) = found
    assert torch.isfinite(padded)
    assert torch.isfinite(gradients).all()
    if of_student < of_teacher:
        torch.testing.assert_close(padded, cut_loss)
        torch.testing.assert_close(gradients, cut_gradients, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_a_student_and_a_teacher_of_padded_vocabularies(make_model, method):
    """As Qwen2.5's are of 0.5B and 7B: 151,936 and 152,064 rows, in small. TRL refuses them."""
    options = registry.find(method).method.options()
    is_its_own_teacher = options.teacher_model == "base"
    student = make_model("llama", seed=1, vocabulary=120, lora=is_its_own_teacher)
    teacher = make_model("llama", seed=2, vocabulary=128)
    own = ("teacher", "base", "average", "student")
    module = DistillationModule(
        student,
        teacher if registry.find(method).method.uses_teacher else None,
        choose_method(method, options),
        make_tokenizer(),
        SamplingLimits(6, (2,)),
        seed=0,
        steps=1,
        others={name: teacher for name in options.teacher_names if name not in own},
    )
    examples = [replace(example, privileged=[*example.prompt, 5]) for example in make_examples(4)]
    if module.method.prepares:
        examples = with_prepared(module, examples)
    before = [weights.detach().clone() for weights in student.parameters()]
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    loss = module(make_batch(examples, share_beginnings=True), BEGINNING)
    loss.total.backward()
    optimizer.step()
    assert torch.isfinite(loss.total)
    assert all(torch.isfinite(weights).all() for weights in student.parameters())
    assert not all(map(torch.equal, before, student.parameters()))


@pytest.mark.parametrize("sharing", ["on", "off"])
@pytest.mark.parametrize(
    ("method", "options"),
    [("gkd", {}), ("imitkd", {"constant": 0.0}), ("fdistill", {"divergence": "rkl"})],
    ids=["gkd", "imitkd", "fdistill"],
)
def test_at_temperature_0_the_student_says_what_generate_says(make_module, method, options, sharing):
    module = make_module(method, sharing, temperature=0, **options)
    batch = make_batch(make_examples(6), share_beginnings=module.shares_beginnings)
    sequences = module.with_training_sequence(batch, BEGINNING).training_sequence
    for row, prompt in enumerate(batch.prompts):
        tokens = torch.tensor([prompt])
        found = module.student.generate(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=6,
            do_sample=False,
            eos_token_id=2,
            pad_token_id=0,
        )
        length = int(sequences.lengths[row])
        assert sequences.tokens[row, :length].tolist() == found[0, len(prompt) :].tolist()
    assert set(sequences.sources.tolist()) == {Source.STUDENT}
    assert torch.isfinite(module(batch, BEGINNING).total)
