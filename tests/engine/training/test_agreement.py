"""What is observed of a step that is logged, against plain float64 computations over ordinary forward passes."""

import math
from dataclasses import replace

import pytest
import torch
from tiny_training import METHODS, NAMES, VOCABULARY, gradients_of, make_examples, with_prepared
from transformers import TrainingArguments

from kdzoo.engine.losses import scored_hidden_states
from kdzoo.engine.prompts.batches import EncodedExamples, make_batch
from kdzoo.engine.training import agreement
from kdzoo.engine.training.agreement import Observation, means_of
from kdzoo.engine.training.trainer import KDTrainer
from kdzoo.engine.training.training_step import Moment
from kdzoo.methods.sequences import Sequences, Source

LOGGED = Moment(step=0, progress=0.0, is_logged=True)
OF_TOKENS = ("agreement", "student_entropy", "teacher_entropy")


def distributions(model, prompt, sequence, vocabulary):
    """Next-token probabilities before each token of a sequence, by the ordinary forward pass in float64."""
    with torch.no_grad():
        logits = model(torch.tensor([prompt + sequence])).logits[0, len(prompt) - 1 : -1, :vocabulary]
    return logits.softmax(-1)


def entropy(p):
    return -sum(x * math.log(x) for x in p.tolist() if x > 0)


def expected(module, batch, vocabulary=VOCABULARY):
    """The means over all scored tokens of a batch, token by token."""
    sequences = module.with_training_sequence(batch, LOGGED).training_sequence
    student, teacher = module.student.double(), module.models.underlying("teacher").double()
    agreeing, of_student, of_teacher = [], [], []
    for row, length in enumerate(sequences.lengths.tolist()):
        prompt = batch.prompts[row // sequences.per_prompt]
        sequence = sequences.tokens[row, :length].tolist()
        for q, p in zip(
            distributions(student, prompt, sequence, vocabulary),
            distributions(teacher, prompt, sequence, vocabulary),
            strict=True,
        ):
            agreeing.append(int(q.argmax()) == int(p.argmax()))
            of_student.append(entropy(q))
            of_teacher.append(entropy(p))
    count = len(agreeing)
    means = (sum(agreeing) / count, sum(of_student) / count, sum(of_teacher) / count)
    return dict(zip(OF_TOKENS, means, strict=True))


def observed(module, batch):
    return means_of(module(batch, LOGGED).observed)


@pytest.mark.parametrize("pieces", [None, 3 * VOCABULARY], ids=["at once", "in chunks"])
@pytest.mark.parametrize("method", ["fkd", "kid", "gkd"])
def test_agreement_and_entropies_are_those_of_the_ordinary_forward_pass(
    make_module, monkeypatch, method, pieces
):
    if pieces is not None:
        monkeypatch.setattr(scored_hidden_states, "CHUNK_ELEMENTS", pieces * 2)
        monkeypatch.setattr(agreement, "_PIECE_ELEMENTS", pieces)
    module = make_module(method)
    batch = make_batch(make_examples(8), share_beginnings=True)
    found = observed(module, batch)
    assert {name: found[name] for name in OF_TOKENS} == pytest.approx(expected(module, batch), rel=1e-5)
    assert 0 <= found["agreement"] < 1


def test_a_student_that_is_its_teacher_agrees_everywhere(make_module, make_model):
    module = make_module("rkd", student=make_model("llama", seed=2))
    found = observed(module, make_batch(make_examples(4), share_beginnings=True))
    assert found["agreement"] == 1
    assert found["student_entropy"] == pytest.approx(found["teacher_entropy"], rel=1e-5)


def test_tokens_that_only_one_of_both_has_do_not_count(make_module, make_model):
    student = make_model("llama", seed=1, vocabulary=VOCABULARY + 40)
    with torch.no_grad():
        student.lm_head.weight[VOCABULARY:] *= 30
    module = make_module("fkd", student=student)
    batch = make_batch(make_examples(4), share_beginnings=True)
    found = observed(module, batch)
    assert {name: found[name] for name in OF_TOKENS} == pytest.approx(expected(module, batch), rel=1e-5)


@pytest.mark.parametrize("pieces", [None, 5 * VOCABULARY], ids=["at once", "in chunks"])
@pytest.mark.parametrize(("method", "options"), METHODS, ids=NAMES)
def test_loss_and_gradients_are_the_same_bit_for_bit(make_module, monkeypatch, method, options, pieces):
    if pieces is not None:
        monkeypatch.setattr(scored_hidden_states, "CHUNK_ELEMENTS", pieces)
    results = []
    for moment in (replace(LOGGED, is_logged=False), LOGGED):
        module = make_module(method, **options)
        batch = make_batch(with_prepared(module, make_examples(8)), share_beginnings=True)
        loss = module(batch, moment)
        loss.total.backward()
        results.append((loss, gradients_of(module)))
    (plain, plain_gradients), (logged, logged_gradients) = results
    assert plain.observed is None
    assert logged.observed is not None
    assert all(torch.equal(a, b) for a, b in zip(plain[:3], logged[:3], strict=True))
    assert torch.equal(plain_gradients, logged_gradients)


def test_a_method_without_a_divergence_has_nothing_to_compare(make_module):
    assert observed(make_module("sft"), make_batch(make_examples(4), share_beginnings=True)) == {}


class TestGeneratedSequences:
    def means(self, rows, sources, ends=(2,)):
        sequences = replace(Sequences.of(rows, Source.STUDENT), sources=torch.tensor(sources))
        return means_of(Observation(torch.device("cpu")).totals(sequences, ends))

    def test_have_a_mean_length_and_a_share_without_an_end(self):
        student, teacher = Source.STUDENT, Source.TEACHER
        rows = [[5, 6, 2], [5, 6, 7, 8], [9], [2]]
        assert self.means(rows, [student, student, teacher, teacher]) == {
            "generated_length": (3 + 4 + 1 + 1) / 4,
            "unfinished": 2 / 4,
        }

    def test_what_no_model_generated_and_what_was_never_begun_do_not_count(self):
        rows = [[5, 6, 7], [5, 6, 2], [5, 6], []]
        sources = [Source.GROUND_TRUTH, Source.IMPERFECT, Source.STUDENT, Source.STUDENT]
        assert self.means(rows, sources) == {"generated_length": 2, "unfinished": 1}
        assert self.means(rows[:2], sources[:2]) == {}

    def test_any_of_several_ends_is_one(self):
        assert self.means([[5, 3], [5, 2], [5, 4]], [Source.STUDENT] * 3, ends=(2, 3))["unfinished"] == (
            pytest.approx(1 / 3)
        )

    def test_of_a_step_are_those_that_it_has_scored(self, make_module):
        module = make_module("gkd")
        batch = make_batch(make_examples(8), share_beginnings=True)
        rows = module.with_training_sequence(batch, LOGGED).training_sequence
        made = [t[:n] for t, n in zip(rows.tokens.tolist(), rows.lengths.tolist(), strict=True)]
        found = observed(module, batch)
        assert found["generated_length"] == pytest.approx(sum(map(len, made)) / 8)
        assert found["unfinished"] == pytest.approx(sum(row[-1] != 2 for row in made) / 8)


def test_sums_of_all_processes_are_added_before_they_are_divided(monkeypatch):
    others = torch.tensor([30.0, 3.0, 60.0, 15.0, 6.0, 60.0, 0.0])
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda sums: sums.add_(others))
    ours = torch.tensor([10.0, 9.0, 10.0, 25.0, 2.0, 4.0, 2.0])
    assert means_of(ours) == {
        "agreement": 12 / 40,
        "student_entropy": 70 / 40,
        "teacher_entropy": 40 / 40,
        "generated_length": 64 / 8,
        "unfinished": 2 / 8,
    }
    assert ours[0] == 10


class TestATraining:
    def lines(self, module, folder, micro, steps=1, every=1):
        how = TrainingArguments(
            str(folder / str(micro)),
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=16 // micro,
            max_steps=steps,
            learning_rate=0.0,
            save_strategy="no",
            report_to="none",
            logging_steps=every,
            disable_tqdm=True,
            remove_unused_columns=False,
            use_cpu=True,
        )
        trainer = KDTrainer(module, EncodedExamples(make_examples(16)), how)
        trainer.train()
        return [entry for entry in trainer.state.log_history if "loss" in entry]

    @pytest.mark.parametrize("method", ["rkd", "gkd"])
    def test_logs_a_step_in_parts_as_the_whole(self, make_module, tmp_path, method):
        names = (*OF_TOKENS, "generated_length", "unfinished")
        whole, parts = (self.lines(make_module(method), tmp_path, micro)[0] for micro in (16, 4))
        found = {name: parts[name] for name in names if name in parts}
        assert found == pytest.approx({name: whole[name] for name in names if name in whole}, rel=1e-5)
        assert len(found) == (5 if method == "gkd" else 3)
        module = make_module(method)
        reference = expected(module, make_batch(make_examples(16), share_beginnings=True))
        assert {name: parts[name] for name in OF_TOKENS} == pytest.approx(reference, rel=1e-5)

    def test_looks_only_at_steps_that_are_logged(self, make_module, tmp_path, monkeypatch):
        looked = []
        compare = Observation.compare
        monkeypatch.setattr(
            Observation, "compare", lambda self, *logits: (looked.append(1), compare(self, *logits))[1]
        )
        lines = self.lines(make_module("rkd"), tmp_path, 16, steps=4, every=2)
        assert [line["step"] for line in lines] == [2, 4]
        assert len(looked) == 2
        assert all("agreement" in line for line in lines)
