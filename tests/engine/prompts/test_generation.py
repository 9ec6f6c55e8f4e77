"""Continued sequences, with one model or two in lockstep, against a plain loop over one row in whole forward passes."""

import random

import pytest
import torch

from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.conditioned_model import condition
from kdzoo.engine.prompts.prefix_groups import order_by_prefix
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full, PrefixCached
from kdzoo.errors import RunError
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sampling import next_tokens
from kdzoo.methods.sequences import Sequences, Source

ENDS = (2, 9)
VOCABULARY = 50
LIMITS = SamplingLimits(8, ENDS, VOCABULARY)
# how to run a model after the prompts, and whether beginnings are shared
WAYS = {
    "on": (PrefixCached(), True),
    "prompt": (PrefixCached(), False),
    "off": (Full(), False),
    "row by row": (Full(1), False),
    "without cache": (Full(caches=False), False),
}
# the student's and the teacher's
PAIRS_OF_WAYS = [*((way, "on") for way in WAYS), *(("on", way) for way in WAYS), ("off", "off")]


@pytest.fixture
def prompts(prompts):
    """Of tokens that both models know."""
    known = [[token % VOCABULARY for token in prompt] for prompt in prompts]
    return [known[i] for i in order_by_prefix(known)]


@pytest.fixture
def student(make_model):
    return make_model("llama").double()


@pytest.fixture
def teacher(make_model):
    """Of another architecture, and with another padded vocabulary."""
    return make_model("gpt2", seed=1, vocabulary=VOCABULARY + 4).double().eval()


def conditioned(model, prompts, way, *, limits=LIMITS, source=Source.STUDENT, generator=None):
    way, share_beginnings = WAYS[way]
    rows = [EncodedExample(i, prompt, [2]) for i, prompt in enumerate(prompts)]
    batch = make_batch(rows, share_beginnings=share_beginnings)
    generator = generator or StepGenerator(3, 0, batch.examples)
    return condition(model, batch, limits, generator, source=source, way=way)


def rows_of(sequences):
    return [row[:n] for row, n in zip(sequences.tokens.tolist(), sequences.lengths.tolist(), strict=True)]


def by_hand(models, prompts, choose, *, draws=1, prefix=None, rows=None):
    """Each row by itself: both models read everything anew for each token."""
    uniform = StepGenerator(3, 0, range(len(prompts))).per_row(LIMITS.output * draws)
    texts = []
    for i, prompt in enumerate(prompts):
        text = [] if prefix is None else list(prefix[i])
        if rows is not None and not rows[i]:
            texts.append([])
            continue
        while len(text) < LIMITS.output and not set(text) & set(ENDS):
            with torch.no_grad():
                logits = [
                    model(input_ids=torch.tensor([prompt + text])).logits[0, -1, :VOCABULARY]
                    for model in models
                ]
            numbers = uniform[i, len(text) * draws : len(text) * draws + draws]
            text.append(choose(logits, numbers.tolist()))
        texts.append(text)
    return texts


def drawn(probabilities, number):
    """The first token at which the sum of probabilities exceeds the number."""
    total = 0.0
    for token, probability in enumerate(probabilities.tolist()):
        total += probability
        if total > number:
            return token
    raise AssertionError("the numbers are below 1")


def in_batches(choose_one):
    """What a method hands in: the choice of each row from [n, V] and [n, draws]."""

    def choose(*given):
        *logits, uniform = given
        return torch.tensor(
            [choose_one([one[i] for one in logits], uniform[i].tolist()) for i in range(len(uniform))]
        )

    return choose


def mixed(logits, uniform):
    """MiniLLM: a token of the teacher and the student mixed."""
    own, other = (one.softmax(-1) for one in logits)
    return drawn(0.8 * own + 0.2 * other, uniform[0])


def speculative(logits, uniform):
    """Speculative KD: the student's token, if it is one of the teacher's first; else one of the teacher's."""
    own, other = logits
    proposed = drawn(own.softmax(-1), uniform[0])
    return proposed if proposed in other.topk(12).indices else drawn(other.softmax(-1), uniform[1])


@pytest.fixture
def prefixes(prompts):
    """None, some, and nearly all of the tokens that there may be; one that has ended and one that is full."""
    source = random.Random(2)
    draw = lambda n: [source.randrange(10, VOCABULARY) for _ in range(n)]  # noqa: E731
    rows = [draw(3), [], draw(7), [*draw(2), 9], draw(8), draw(1), draw(5), draw(3)]
    assert len(rows) == len(prompts)
    return rows


class TestLockstep:
    @pytest.mark.parametrize(
        ("choose", "draws"), [(mixed, 1), (speculative, 2)], ids=["teacher-mixed", "speculative"]
    )
    def test_both_models_read_the_tokens_that_are_chosen_of_both(
        self, student, teacher, prompts, choose, draws
    ):
        expected = by_hand([student, teacher], prompts, choose, draws=draws)
        assert {len(text) for text in expected} > {8}, "some end before the limit"
        for way, teacher_way in PAIRS_OF_WAYS:
            made = conditioned(student, prompts, way).generate(
                beside=conditioned(teacher, prompts, teacher_way), choose=in_batches(choose), draws=draws
            )
            assert rows_of(made) == expected, (way, teacher_way)
            assert set(made.sources.tolist()) == {Source.STUDENT}

    def test_prefixes_of_any_lengths_are_continued(self, student, teacher, prompts, prefixes):
        rows = torch.tensor([i != 5 for i in range(len(prompts))])
        expected = by_hand([student, teacher], prompts, mixed, prefix=prefixes, rows=rows.tolist())
        for way, teacher_way in PAIRS_OF_WAYS:
            made = conditioned(student, prompts, way).generate(
                prefix=Sequences.of(prefixes, Source.GROUND_TRUTH),
                rows=rows,
                beside=conditioned(teacher, prompts, teacher_way),
                choose=in_batches(mixed),
            )
            assert rows_of(made) == expected, (way, teacher_way)


@pytest.mark.parametrize("way", WAYS)
class TestAlone:
    @pytest.mark.parametrize("temperature", [0.0, 0.7])
    @pytest.mark.parametrize("with_prefix", [False, True], ids=["from the prompt", "from a prefix"])
    def test_a_token_is_sampled_by_its_own_number(
        self, student, prompts, prefixes, way, temperature, with_prefix
    ):
        def sampled(logits, uniform):
            if temperature == 0:
                return int(logits[0].argmax())
            return drawn((logits[0] / temperature).softmax(-1), uniform[0])

        given = prefixes if with_prefix else None
        expected = by_hand([student], prompts, sampled, prefix=given)
        prefix = Sequences.of(prefixes, Source.TEACHER, pad=2) if with_prefix else None
        made = conditioned(student, prompts, way).generate(temperature=temperature, prefix=prefix)
        assert rows_of(made) == expected

    def test_a_choice_without_another_model(self, student, prompts, way):
        def of_the_first_three(logits, uniform):
            return int(logits[0].topk(3).indices[int(3 * uniform[0])])

        expected = by_hand([student], prompts, of_the_first_three)
        made = conditioned(student, prompts, way).generate(choose=in_batches(of_the_first_three))
        assert rows_of(made) == expected

    def test_a_prefix_that_all_rows_have_is_read_at_once(self, student, prompts, prefixes, way):
        chosen = torch.tensor([len(prefix) in (3, 5, 7) for prefix in prefixes])
        calls = []

        def choose(logits, uniform):
            calls.append(len(logits))
            return logits.argmax(-1)

        conditioned(student, prompts, way).generate(
            prefix=Sequences.of(prefixes, Source.GROUND_TRUTH), rows=chosen, choose=choose
        )
        assert sum(calls) <= 2 * (8 - 3) + (8 - 5) + (8 - 7), "no token of a prefix is asked for"

    def test_no_row_at_all_gives_no_tokens(self, student, prompts, way):
        nobody = torch.zeros(len(prompts), dtype=torch.bool)
        made = conditioned(student, prompts, way).generate(rows=nobody)
        assert made.tokens.shape == (len(prompts), 0)
        assert not made.lengths.any()


def test_a_choice_draws_the_numbers_that_sampling_draws(student, prompts):
    """Who samples by hand what `generate` samples gets the same sequences for the same seed."""

    def sample(logits, uniform):
        return next_tokens(logits, 1.0, uniform[:, 0])

    made, expected = (
        conditioned(student, prompts, "on").generate(**settings) for settings in ({"choose": sample}, {})
    )
    assert rows_of(made) == rows_of(expected)


def test_models_are_in_eval_mode_and_without_gradients(make_model, prompts):
    student, teacher = (make_model("gpt2", seed=seed, resid_pdrop=0.5).train() for seed in (0, 1))
    seen = []

    def choose(own, other, uniform):
        seen.append(own.requires_grad or other.requires_grad)
        return (own + other).argmax(-1)

    made = [
        rows_of(
            conditioned(student, prompts, "on").generate(
                beside=conditioned(teacher, prompts, "off"), choose=choose
            )
        )
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert not any(seen)
    assert student.training
    assert teacher.training


def test_some_tokens_are_of_neither_vocabulary(student, teacher, prompts):
    """Padding to different sizes: what is chosen is in both models."""
    widths = []

    def choose(own, other, uniform):
        widths.append((own.shape[1], other.shape[1]))
        return own.argmax(-1)

    unlimited = SamplingLimits(3, ENDS)
    conditioned(student, prompts, "on", limits=unlimited).generate(
        beside=conditioned(teacher, prompts, "on", limits=unlimited), choose=choose
    )
    assert set(widths) == {(VOCABULARY + 4, VOCABULARY + 4)}


class TestMistakes:
    @pytest.mark.parametrize(
        "choice", [torch.zeros(8, 1, dtype=torch.long), torch.zeros(8), torch.zeros(3, dtype=torch.long)]
    )
    def test_a_choice_that_is_no_token_of_each_row(self, student, prompts, choice):
        with pytest.raises(RunError, match="the id of a token for each of 8 rows"):
            conditioned(student, prompts, "on").generate(choose=lambda logits, uniform: choice)

    def test_a_model_of_another_batch_beside_it(self, student, teacher, prompts):
        own = conditioned(student, prompts, "on")
        shorter = SamplingLimits(3, ENDS, VOCABULARY)
        for other in (
            conditioned(teacher, prompts[:3], "on"),
            conditioned(teacher, prompts, "on", limits=shorter),
            teacher,
        ):
            with pytest.raises(RunError, match="beside must be a model of the same step"):
                own.generate(beside=other, choose=lambda own, other, uniform: own.argmax(-1))

    def test_a_prefix_of_another_batch(self, student, prompts):
        with pytest.raises(RunError, match="one sequence for each of 8 prompts; it has 1"):
            conditioned(student, prompts, "on").generate(prefix=Sequences.of([[3]], Source.TEACHER))
