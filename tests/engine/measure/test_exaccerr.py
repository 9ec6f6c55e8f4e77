"""ExAccErr against its definition, worked out token by token in float64 with ordinary forward passes."""

import copy
import math
import random
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from kdzoo.engine.losses import scored_hidden_states as states
from kdzoo.engine.measure import exaccerr
from kdzoo.engine.measure.exaccerr import ExAccErr, PromptErrors, measure_errors
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.methods.randomness import StepGenerator

END = 2
LIMIT = 6
SEED = 5


class Reference:
    """A student and a teacher in float64: next-token distributions by one whole forward pass each."""

    def __init__(self, student, teacher, vocabulary):
        self.models = {
            "student": copy.deepcopy(student).double().eval(),
            "teacher": copy.deepcopy(teacher).double().eval(),
        }
        self.vocabulary = vocabulary
        self.distribution = lru_cache(maxsize=None)(self._distribution)

    def _distribution(self, role, tokens):
        with torch.no_grad():
            logits = self.models[role](input_ids=torch.tensor([tokens])).logits[0, -1, : self.vocabulary]
        return logits.softmax(-1).tolist()

    def kl(self, tokens):
        p, q = self.distribution("teacher", tokens), self.distribution("student", tokens)
        return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))

    def sample(self, role, prompt, uniform):
        """One sequence up to its end, each token where its number falls among the cumulated probabilities."""
        tokens = []
        for number in uniform:
            cumulative = list(accumulate(self.distribution(role, (*prompt, *tokens))))
            tokens.append(bisect_right(cumulative, float(number) * cumulative[-1]))
            if tokens[-1] == END:
                break
        return tokens

    def error(self, prompt, sequence):
        """The sum of the KL over the steps that predict the sequence's tokens."""
        return sum(self.kl((*prompt, *sequence[:t])) for t in range(len(sequence)))

    def expected_error(self, role, prompt, limit):
        """The same in expectation, over all sequences that there are, prefixes by the role's probabilities."""

        def after(prefix, steps):
            tokens = (*prompt, *prefix)
            ahead = 0.0
            if steps > 1:
                for token, probability in enumerate(self.distribution(role, tokens)):
                    ahead += probability * after((*prefix, token), steps - 1) if token != END else 0.0
            return self.kl(tokens) + ahead

        return after((), limit)


def examples_of(prompts, targets=None):
    """Examples whose indices are not their places."""
    targets = targets or [[] for _ in prompts]
    return [
        EncodedExample(3 * i + 10, list(prompt), list(target))
        for i, (prompt, target) in enumerate(zip(prompts, targets, strict=True))
    ]


def measured(student, teacher, examples, limit=LIMIT, **settings):
    settings = {"prefix": "teacher", "samples": 1, "batch_size": 8, "seed": SEED, **settings}
    errors = list(measure_errors(student, teacher, examples, SamplingLimits(limit, (END,)), **settings))
    assert sorted(error.index for error in errors) == sorted(example.index for example in examples)
    return {error.index: (error.after_student, error.after_oracle) for error in errors}


def by_brute_force(reference, examples, samples=1, limit=LIMIT, seed=SEED, prefix="teacher"):
    expected = {}
    for example in examples:
        source = StepGenerator(seed, 0, [example.index])
        numbers = [source.per_row(limit)[0] for _ in range(samples)]
        of_role = {
            role: sum(
                reference.error(example.prompt, reference.sample(role, example.prompt, uniform))
                for uniform in numbers
            )
            / samples
            for role in ("student", "teacher")
        }
        if prefix == "gold":
            of_role["teacher"] = reference.error(example.prompt, example.target[:limit])
        expected[example.index] = (of_role["student"], of_role["teacher"])
    return expected


def check(found, expected):
    assert found.keys() == expected.keys()
    for index, values in expected.items():
        assert found[index] == pytest.approx(values, rel=1e-4), index


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
        make_batch = exaccerr.make_batch

        def watched(rows, **settings):
            sizes.append(len(rows))
            return make_batch(rows, **settings)

        monkeypatch.setattr(exaccerr, "make_batch", watched)
        monkeypatch.setattr(exaccerr, "_ORDINARY_ELEMENTS", 3 * 60 * longest)
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
            check(measured(student, teacher, shuffled, samples=2, batch_size=batch_size), expected)

    def test_chunks_and_no_more_logits_than_one_at_once(self, make_model, examples, monkeypatch):
        student, teacher = make_model("qwen2", seed=1), make_model("llama", seed=2)
        expected = measured(student, teacher, examples)
        sizes = []
        kl = exaccerr.forward_kl

        def watched(student_logits, teacher_logits):
            sizes.append(len(student_logits))
            return kl(student_logits, teacher_logits)

        monkeypatch.setattr(exaccerr, "forward_kl", watched)
        monkeypatch.setattr(states, "CHUNK_ELEMENTS", 5 * 60)
        check(measured(student, teacher, examples), expected)
        assert max(sizes) == 5

    def test_the_global_random_state(self, make_model, examples):
        student, teacher = make_model("qwen2", seed=1), make_model("llama", seed=2)
        before = torch.get_rng_state()
        first = measured(student, teacher, examples)
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(99)
        assert measured(student, teacher, examples) == first
        assert measured(student, teacher, examples, seed=SEED + 1) != first


def test_the_sampled_mean_is_the_expectation_over_all_sequences(make_model):
    student, teacher = (
        make_model("qwen2", vocabulary=6, seed=3),
        make_model("llama", vocabulary=6, seed=4),
    )
    prompt, limit, count = [3, 5, 4, 1], 4, 4000
    reference = Reference(student, teacher, 6)
    own, oracle = (reference.expected_error(role, prompt, limit) for role in ("student", "teacher"))
    assert abs(own - oracle) > 0.05 * oracle
    errors = [
        PromptErrors(index, *values)
        for index, values in measured(
            student, teacher, examples_of([prompt] * count), limit, batch_size=count
        ).items()
    ]
    result = ExAccErr.of(errors, limit)
    for values, expected in (
        ([e.after_student for e in errors], own),
        ([e.after_oracle for e in errors], oracle),
    ):
        values = torch.tensor(values, dtype=torch.float64)
        assert abs(float(values.mean()) - expected) < 3 * float(values.std()) / count**0.5
    assert result.accumulated == pytest.approx(own, rel=0.05)
    assert result.per_step == pytest.approx(oracle / limit, rel=0.05)
    assert abs(result.percent - 100 * (own - oracle) / oracle) < 3 * result.standard_error
    assert result.standard_error < 5


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
        examples = examples_of([[0]], [target])
        ((own, oracle),) = measured(
            bigram(self.STUDENT), bigram(self.TEACHER), examples, limit, samples=4, **settings
        ).values()
        return own, oracle

    def test_two_steps(self, monkeypatch):
        """After the first a, half of the student's sequences go on with another a, and a quarter of the teacher's."""
        own, oracle = self.measure(2, monkeypatch)
        assert own == pytest.approx(self.KL * (1 + 1 / 2), rel=1e-5)
        assert oracle == pytest.approx(self.KL * (1 + 1 / 4), rel=1e-5)
        result = ExAccErr.of([PromptErrors(0, own, oracle)], 2)
        assert result.accumulated == pytest.approx(0.375 * math.log(2), rel=1e-5)
        assert result.per_step == pytest.approx(0.15625 * math.log(2), rel=1e-5)
        assert result.excess == pytest.approx(0.0625 * math.log(2), rel=1e-4)
        assert result.percent == pytest.approx(20, rel=1e-4)

    def test_one_step_is_the_same_after_the_empty_prefix_of_both(self, monkeypatch):
        own, oracle = self.measure(1, monkeypatch)
        assert own == oracle == pytest.approx(self.KL, rel=1e-5)
        assert ExAccErr.of([PromptErrors(0, own, oracle)], 1).percent == 0.0

    def test_the_gold_target_s_end_is_a_step_and_what_is_past_l_is_not(self, monkeypatch):
        gold = {"prefix": "gold", "target": (0, 0, 1, END)}
        for limit, steps in ((1, 1), (2, 2), (3, 3), (4, 3), (9, 3)):  # the step after b costs nothing
            assert self.measure(limit, monkeypatch, **gold)[1] == pytest.approx(steps * self.KL, rel=1e-5)
        ended = {"prefix": "gold", "target": (0, END)}
        assert self.measure(9, monkeypatch, **ended)[1] == pytest.approx(2 * self.KL, rel=1e-5)


def test_after_its_end_a_sequence_adds_nothing():
    ends = 1 - 2e-9
    student = bigram(((1e-9, 1e-9, ends), (0.1, 0.1, 0.8), (0.9, 0.05, 0.05)))
    teacher = bigram(((0.25, 0.25, 0.5), (0.8, 0.1, 0.1), (0.05, 0.05, 0.9)))
    examples = examples_of([[0], [1, 0]])
    after_one = measured(student, teacher, examples, 1)
    after_nine = measured(student, teacher, examples, 9)
    for index in after_one:
        assert after_one[index][0] == pytest.approx(
            0.5 * math.log(0.5 / ends) + 0.5 * math.log(0.25 / 1e-9), rel=1e-4
        )
        assert after_nine[index][0] == after_one[index][0]


class TestPuttingErrorsTogether:
    def test_a_student_that_is_its_teacher_has_no_errors_to_compare(self, make_model, examples):
        model = make_model("llama")
        errors = measured(model, copy.deepcopy(model), examples, samples=2)
        assert set(errors.values()) == {(0.0, 0.0)}
        result = ExAccErr.of([PromptErrors(i, *values) for i, values in errors.items()], LIMIT)
        assert result == ExAccErr(0.0, 0.0, 0.0, None, None, 8)

    def test_no_prompts(self, make_model):
        assert measured(make_model("llama"), make_model("llama"), []) == {}
        assert ExAccErr.of([], LIMIT) == ExAccErr(0.0, 0.0, 0.0, None, None, 0)

    def test_errors_of_some_prompts_only_are_still_an_excess(self):
        result = ExAccErr.of([PromptErrors(0, 3.0, 0.0), PromptErrors(1, 1.0, 2.0)], 4)
        assert (result.accumulated, result.per_step, result.excess) == (2.0, 0.25, 1.0)
        assert result.percent == 100.0

    def test_it_can_be_negative(self):
        assert ExAccErr.of([PromptErrors(0, 1.0, 4.0)], 2).percent == -75.0

    def test_standard_error_by_hand(self):
        """The ratio of the means is 1, the residuals are 1 and -1: sqrt((1 + 1) / (2 * 1)) / 2 = 1/2."""
        assert ExAccErr.of([PromptErrors(0, 3.0, 2.0), PromptErrors(1, 1.0, 2.0)], 1).standard_error == 50.0
        assert ExAccErr.of([PromptErrors(0, 3.0, 2.0)], 1).standard_error is None

    def test_standard_error_is_how_far_repeated_measurements_spread(self):
        source = random.Random(0)

        def measure():
            steps = [source.expovariate(1.0) for _ in range(200)]
            return ExAccErr.of(
                [PromptErrors(i, s + source.expovariate(2.0), s + 0.2) for i, s in enumerate(steps)], 5
            )

        results = [measure() for _ in range(400)]
        percents = torch.tensor([result.percent for result in results], dtype=torch.float64)
        mean = sum(result.standard_error for result in results) / len(results)
        assert mean == pytest.approx(float(percents.std()), rel=0.12)

    @given(
        st.lists(st.tuples(st.floats(0, 1e3), st.floats(1e-3, 1e3)), min_size=1, max_size=20),
        st.integers(1, 500),
        st.randoms(),
    )
    def test_the_definition_in_any_order(self, pairs, limit, source):
        errors = [PromptErrors(i, *pair) for i, pair in enumerate(pairs)]
        result = ExAccErr.of(errors, limit)
        r = sum(own for own, _ in pairs) / len(pairs)
        l_eps = sum(oracle for _, oracle in pairs) / len(pairs)
        assert result.accumulated == pytest.approx(r)
        assert limit * result.per_step == pytest.approx(l_eps)
        assert result.percent == pytest.approx(100 * (r - l_eps) / l_eps, abs=1e-6)
        source.shuffle(errors)
        assert ExAccErr.of(errors, limit) == result
