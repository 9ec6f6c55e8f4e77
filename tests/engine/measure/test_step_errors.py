"""The errors at every step against their definition, worked out token by token with ordinary forward passes."""

import math
import random

import pytest
import torch
from reference_errors import END, LIMIT, SEED, Reference, by_brute_force, examples_of, prompt_errors
from transformers import LlamaConfig, LlamaForCausalLM

from kdzoo.engine.losses import scored_hidden_states as states
from kdzoo.engine.measure import step_errors
from kdzoo.engine.measure.exaccerr import curve
from kdzoo.methods.randomness import StepGenerator


def measured(student, teacher, examples, limit=LIMIT, **settings):
    """For each example, for the student's prefixes and for the oracle's: sums, sequences that go, sequences."""
    return {
        error.index: [
            (of.sums.tolist(), of.going.tolist(), of.sequences)
            for of in (error.after_student, error.after_oracle)
        ]
        for error in prompt_errors(student, teacher, examples, limit, **settings)
    }


def check(found, expected, limit=LIMIT):
    """``expected`` has the lists of KLs that `by_brute_force` gives."""
    assert found.keys() == expected.keys()
    for index, both in expected.items():
        for (sums, going, count), sequences in zip(found[index], both, strict=True):
            steps = [[kls[t] for kls in sequences if t < len(kls)] for t in range(limit)]
            assert sums == pytest.approx([sum(step) for step in steps], rel=1e-4), index
            assert going == [len(step) for step in steps]
            assert count == len(sequences)


def check_same(found, expected):
    """That two measurements are the same but for rounding."""
    assert found.keys() == expected.keys()
    for index, both in expected.items():
        for (sums, *rest), (other_sums, *other_rest) in zip(found[index], both, strict=True):
            assert sums == pytest.approx(other_sums, rel=1e-4)
            assert rest == other_rest


def bigram(table):
    """A LLaMA whose next-token probabilities are row ``last token`` of a table: no layer adds to the embedding."""
    table = torch.tensor(table, dtype=torch.float64)
    size = len(table)
    width = 4
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size,
            hidden_size=width,
            intermediate_size=4,
            num_hidden_layers=1,
            num_attention_heads=2,
            rms_norm_eps=1e-12,
            tie_word_embeddings=False,
            bos_token_id=0,
            eos_token_id=END,
            pad_token_id=None,
        )
    )
    with torch.no_grad():
        for parameter in model.model.layers.parameters():
            parameter.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(size, width))
        # the final norm makes a unit vector sqrt(width) long
        model.lm_head.weight.copy_(torch.nn.functional.pad(table.log().T, (0, width - size)) / width**0.5)
    return model


@pytest.fixture
def examples(prompts):
    source = random.Random(4)
    targets = [
        [source.randrange(3, 60) for _ in range(length)] + [END] for length in (0, 1, 3, 9, 5, 2, 8, 4)
    ]
    return examples_of(prompts, targets)


class TestAgainstBruteForce:
    @pytest.mark.parametrize("sharing", ["on", "off"])
    @pytest.mark.parametrize("prefix", ["teacher", "gold"])
    @pytest.mark.parametrize("samples", [1, 3])
    def test_the_same_sequences_give_the_same_errors(self, make_model, examples, samples, prefix, sharing):
        student, teacher = make_model("qwen2", seed=1), make_model("llama", seed=2)
        found = measured(student, teacher, examples, samples=samples, prefix=prefix, sharing=sharing)
        reference = Reference(student, teacher, 60)
        check(found, by_brute_force(reference, examples, samples, prefix=prefix))

    @pytest.mark.parametrize("sizes", [(60, 68), (68, 60)], ids=["student smaller", "teacher smaller"])
    @pytest.mark.parametrize("sharing", ["on", "off"])
    def test_vocabularies_padded_to_different_sizes_are_cut_to_the_shared_one(
        self, make_model, examples, sizes, sharing
    ):
        student = make_model("llama", vocabulary=sizes[0], seed=1)
        teacher = make_model("llama", vocabulary=sizes[1], seed=2)
        found = measured(student, teacher, examples, samples=2, sharing=sharing)
        check(found, by_brute_force(Reference(student, teacher, 60), examples, 2))

    def test_adapters_take_part(self, make_model, examples):
        student, teacher = make_model("llama", seed=1, lora=True), make_model("llama", seed=2, lora=True)
        check(measured(student, teacher, examples), by_brute_force(Reference(student, teacher, 60), examples))

    def test_dropout_is_off(self, make_model, examples):
        student = make_model("gpt2", seed=1, resid_pdrop=0.5).train()
        teacher = make_model("gpt2", seed=2, resid_pdrop=0.5).train()
        check(measured(student, teacher, examples), by_brute_force(Reference(student, teacher, 60), examples))
        assert not any(p.grad is not None for p in student.parameters())

    def test_a_model_that_cannot_share_its_prompts_says_so_and_is_measured_alike(
        self, make_model, examples, caplog, monkeypatch
    ):
        student = make_model("mistral", seed=1, sliding_window=20)
        teacher = make_model("llama", seed=2)
        longest = max(len(example.prompt) for example in examples) + LIMIT
        sizes = []
        make_batch = step_errors.make_batch

        def watched(rows, **settings):
            sizes.append(len(rows))
            return make_batch(rows, **settings)

        monkeypatch.setattr(step_errors, "make_batch", watched)
        monkeypatch.setattr(step_errors, "_ORDINARY_ELEMENTS", 3 * 60 * longest)
        found = measured(student, teacher, examples)
        assert "the student (MistralForCausalLM) is computed without prompt sharing" in caplog.text
        assert "teacher" not in caplog.text
        assert max(sizes) == 3
        check(found, by_brute_force(Reference(student, teacher, 60), examples))


class TestWhatDoesNotMatter:
    def test_batches_and_order(self, make_model, examples):
        student, teacher = make_model("qwen2", seed=1), make_model("llama", seed=2)
        expected = measured(student, teacher, examples, samples=2)
        for batch_size in (1, 3):
            shuffled = random.Random(batch_size).sample(examples, len(examples))
            check_same(measured(student, teacher, shuffled, samples=2, batch_size=batch_size), expected)

    def test_chunks_and_no_more_logits_than_one_at_once(self, make_model, examples, monkeypatch):
        student, teacher = make_model("qwen2", seed=1), make_model("llama", seed=2)
        expected = measured(student, teacher, examples)
        sizes = []
        kl = step_errors.forward_kl

        def watched(student_logits, teacher_logits):
            sizes.append(len(student_logits))
            return kl(student_logits, teacher_logits)

        monkeypatch.setattr(step_errors, "forward_kl", watched)
        monkeypatch.setattr(states, "CHUNK_ELEMENTS", 5 * 60)
        check_same(measured(student, teacher, examples), expected)
        assert max(sizes) == 5

    def test_the_global_random_state(self, make_model, examples):
        student, teacher = make_model("qwen2", seed=1), make_model("llama", seed=2)
        before = torch.get_rng_state()
        first = measured(student, teacher, examples)
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(99)
        assert measured(student, teacher, examples) == first
        assert measured(student, teacher, examples, seed=SEED + 1) != first


class TestByHand:
    """Tokens a = 0, b = 1 and the end. After a, the teacher ends with 1/2 and the student with 1/4.

    There KL(p‖q) = 1/4 log(1/4 / 1/2) + 1/4 log(1/4 / 1/4) + 1/2 log(1/2 / 1/4) = (log 2) / 4; after b both agree.
    """

    TEACHER = ((0.25, 0.25, 0.5), (0.2, 0.3, 0.5), (0.4, 0.4, 0.2))
    STUDENT = ((0.5, 0.25, 0.25), (0.2, 0.3, 0.5), (0.4, 0.4, 0.2))
    KL = math.log(2) / 4

    def measure(self, limit, monkeypatch, target=(), **settings):
        """Four sequences whose random numbers are 1/8, 3/8, 5/8 and 7/8, so that each token gets its share."""

        def evenly(self, count):
            self._draws += 1
            return torch.full((len(self._examples), count), (2 * self._draws - 1) / 8)

        monkeypatch.setattr(StepGenerator, "per_row", evenly)
        (errors,) = prompt_errors(
            bigram(self.STUDENT),
            bigram(self.TEACHER),
            examples_of([[0]], [target]),
            limit,
            samples=4,
            **settings,
        )
        return errors

    def sums(self, errors):
        return (errors.sums / errors.sequences / self.KL).tolist()

    def test_two_steps(self, monkeypatch):
        """After the first a, half of the student's sequences go on with another a, and a quarter of the teacher's."""
        errors = self.measure(2, monkeypatch)
        assert self.sums(errors.after_student) == pytest.approx([1, 1 / 2], rel=1e-5)
        assert self.sums(errors.after_oracle) == pytest.approx([1, 1 / 4], rel=1e-5)
        assert errors.after_student.going.tolist() == [4, 3]
        assert errors.after_oracle.going.tolist() == [4, 2]
        result = curve([errors], 2)[-1]
        assert result.accumulated == pytest.approx(0.375 * math.log(2), rel=1e-5)
        assert result.per_step == pytest.approx(0.15625 * math.log(2), rel=1e-5)
        assert result.excess == pytest.approx(0.0625 * math.log(2), rel=1e-4)
        assert result.percent == pytest.approx(20, rel=1e-4)

    @pytest.mark.parametrize(
        ("average", "first_token", "percents"),
        [
            ("all", True, [0, 20]),  # K + 2K/4 against K + K/4
            ("unfinished", True, [0, 100 / 9]),  # K + 2K/3 against K + K/2
            ("all", False, [100]),  # 2K/4 against K/4
            ("unfinished", False, [100 / 3]),  # 2K/3 against K/2
        ],
    )
    def test_two_steps_by_every_convention(self, monkeypatch, average, first_token, percents):
        errors = self.measure(2, monkeypatch)
        found = curve([errors], 2, average=average, first_token=first_token)
        assert [at.length for at in found] == list(range(1, len(percents) + 1))
        assert [at.percent for at in found] == pytest.approx(percents, rel=1e-4)

    def test_one_step_is_the_same_after_the_empty_prefix_of_both(self, monkeypatch):
        errors = self.measure(1, monkeypatch)
        assert self.sums(errors.after_student) == self.sums(errors.after_oracle)
        assert self.sums(errors.after_student) == pytest.approx([1], rel=1e-5)
        assert curve([errors], 1)[0].percent == 0.0

    def test_the_gold_target_s_end_is_a_step_and_what_is_past_l_is_not(self, monkeypatch):
        gold = {"prefix": "gold", "target": (0, 0, 1, END)}
        for limit, steps in ((1, 1), (2, 2), (3, 3), (4, 3), (9, 3)):  # the step after b costs nothing
            oracle = self.measure(limit, monkeypatch, **gold).after_oracle
            assert self.sums(oracle) == pytest.approx([1] * steps + [0] * (limit - steps), rel=1e-5)
            assert oracle.going.tolist() == [1] * min(limit, 4) + [0] * (limit - 4)
        ended = {"prefix": "gold", "target": (0, END)}
        oracle = self.measure(9, monkeypatch, **ended).after_oracle
        assert self.sums(oracle) == pytest.approx([1, 1] + [0] * 7, rel=1e-5)


def test_after_its_end_a_sequence_adds_nothing():
    ends = 1 - 2e-9
    student = bigram(((1e-9, 1e-9, ends), (0.1, 0.1, 0.8), (0.9, 0.05, 0.05)))
    teacher = bigram(((0.25, 0.25, 0.5), (0.8, 0.1, 0.1), (0.05, 0.05, 0.9)))
    for error in prompt_errors(student, teacher, examples_of([[0], [1, 0]]), 9):
        expected = 0.5 * math.log(0.5 / ends) + 0.5 * math.log(0.25 / 1e-9)
        assert error.after_student.sums.tolist() == pytest.approx([expected] + [0] * 8, rel=1e-4)
        assert error.after_student.going.tolist() == [1] + [0] * 8
