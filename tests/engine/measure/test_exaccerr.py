"""ExAccErr against its definition in every convention, and how far it may be from the truth."""

import copy
import itertools
import math
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference_errors import LIMIT, Reference, by_brute_force, examples_of, prompt_errors

from kdzoo.engine.measure.exaccerr import ExAccErr, curve
from kdzoo.engine.measure.step_errors import PromptErrors, StepErrors

CONVENTIONS = list(itertools.product(["all", "unfinished"], [True, False]))


def step_errors(sequences, limit):
    """Errors of sequences, each a list of the KL at each of its steps."""
    steps = [[kls[t] for kls in sequences if t < len(kls)] for t in range(limit)]
    return StepErrors(
        torch.tensor([sum(step) for step in steps], dtype=torch.float64),
        torch.tensor([len(step) for step in steps], dtype=torch.float64),
        len(sequences),
    )


def of_sequences(index, own, oracle, limit):
    return PromptErrors(index, step_errors(own, limit), step_errors(oracle, limit))


def of_totals(index, own, oracle):
    """One sequence of one step each."""
    return of_sequences(index, [[own]], [[oracle]], 1)


def by_definition(prompts, limit, average, first_token):
    """R(l) and l eps(l) for each l, NaN where undefined; ``prompts`` are pairs of sequences' KLs: plain loops."""

    def accumulated(of):
        total, totals = 0.0, []
        for t in range(0 if first_token else 1, limit):
            if average == "all":
                total += sum(
                    sum(kls[t] if t < len(kls) else 0.0 for kls in pair[of]) / len(pair[of])
                    for pair in prompts
                ) / len(prompts)
            else:
                going = [kls[t] for pair in prompts for kls in pair[of] if t < len(kls)]
                total += sum(going) / len(going) if going else math.nan
            totals.append(total)
        return totals

    return accumulated(0), accumulated(1)


def check(found, own, oracle, rel):
    assert [at.length for at in found] == list(range(1, len(own) + 1))
    for at, r, l_eps in zip(found, own, oracle, strict=True):
        if math.isnan(r) or math.isnan(l_eps):
            assert (at.accumulated, at.per_step, at.excess, at.percent, at.standard_error) == (None,) * 5
            continue
        assert at.accumulated == pytest.approx(r, rel=rel)
        assert at.length * at.per_step == pytest.approx(l_eps, rel=rel)
        assert at.excess == pytest.approx(r - l_eps, rel=rel, abs=rel * (r + l_eps))
        if l_eps > 0:
            assert at.percent == pytest.approx(
                100 * (r / l_eps - 1), rel=rel, abs=100 * rel * (1 + r / l_eps)
            )


class TestDefinition:
    @pytest.mark.parametrize(("average", "first_token"), CONVENTIONS)
    @pytest.mark.parametrize(("samples", "prefix"), [(1, "teacher"), (3, "teacher"), (2, "gold")])
    def test_of_models_by_ordinary_forward_passes(
        self, make_model, prompts, average, first_token, samples, prefix
    ):
        student, teacher = make_model("qwen2", seed=1), make_model("llama", seed=2)
        source = random.Random(4)
        targets = [[source.randrange(3, 60) for _ in range(source.randrange(5))] + [2] for _ in prompts]
        examples = examples_of(prompts, targets)
        errors = prompt_errors(student, teacher, examples, samples=samples, prefix=prefix)
        kls = by_brute_force(Reference(student, teacher, 60), examples, samples, prefix=prefix)
        found = curve(errors, LIMIT, average=average, first_token=first_token)
        check(found, *by_definition(list(kls.values()), LIMIT, average, first_token), rel=1e-4)

    @given(
        st.lists(
            st.tuples(
                *[
                    st.lists(st.lists(st.floats(0, 1e3), min_size=1, max_size=5), min_size=1, max_size=3)
                    for _ in range(2)
                ]
            ),
            min_size=1,
            max_size=6,
        ),
        st.sampled_from(CONVENTIONS),
        st.randoms(),
    )
    def test_of_any_errors_in_any_order(self, pairs, convention, source):
        average, first_token = convention
        errors = [of_sequences(i, *pair, 5) for i, pair in enumerate(pairs)]
        found = curve(errors, 5, average=average, first_token=first_token)
        check(found, *by_definition(pairs, 5, average, first_token), rel=1e-9)
        source.shuffle(errors)
        assert curve(errors, 5, average=average, first_token=first_token) == found

    def test_what_comes_later_does_not_change_what_was(self):
        pairs = [([[1.0, 2.0, 3.0]], [[2.0, 1.0]]), ([[4.0]], [[1.0, 1.0, 7.0]])]
        for average, first_token in CONVENTIONS:
            long, short = (
                curve(
                    [of_sequences(i, *pair, limit) for i, pair in enumerate(pairs)],
                    limit,
                    average=average,
                    first_token=first_token,
                )
                for limit in (3, 2)
            )
            assert long[: len(short)] == short


def test_the_sampled_mean_is_the_expectation_over_all_sequences(make_model):
    student, teacher = (
        make_model("qwen2", vocabulary=6, seed=3),
        make_model("llama", vocabulary=6, seed=4),
    )
    prompt, limit, count = [3, 5, 4, 1], 4, 4000
    reference = Reference(student, teacher, 6)
    own, oracle = (reference.expected_error(role, prompt, limit) for role in ("student", "teacher"))
    assert abs(own - oracle) > 0.05 * oracle
    errors = prompt_errors(student, teacher, examples_of([prompt] * count), limit, batch_size=count)
    result = curve(errors, limit)[-1]
    for values, expected in (
        ([e.after_student for e in errors], own),
        ([e.after_oracle for e in errors], oracle),
    ):
        values = torch.stack([of.sums.sum() for of in values])
        assert abs(float(values.mean()) - expected) < 3 * float(values.std()) / count**0.5
    assert result.accumulated == pytest.approx(own, rel=0.05)
    assert result.per_step == pytest.approx(oracle / limit, rel=0.05)
    assert abs(result.percent - 100 * (own - oracle) / oracle) < 3 * result.standard_error
    assert result.standard_error < 5


class TestPuttingErrorsTogether:
    def test_a_student_that_is_its_teacher_has_no_errors_to_compare(self, make_model, prompts):
        model = make_model("llama")
        errors = prompt_errors(model, copy.deepcopy(model), examples_of(prompts), samples=2)
        assert not any(of.sums.any() for e in errors for of in (e.after_student, e.after_oracle))
        assert curve(errors, LIMIT) == [
            ExAccErr(n, 0.0, 0.0, 0.0, None, None, 8) for n in range(1, LIMIT + 1)
        ]

    def test_no_prompts(self, make_model):
        assert prompt_errors(make_model("llama"), make_model("llama"), []) == []
        for average, first_token in CONVENTIONS:
            found = curve([], LIMIT, average=average, first_token=first_token)
            count = LIMIT if first_token else LIMIT - 1
            assert found == [ExAccErr(n, 0.0, 0.0, 0.0, None, None, 0) for n in range(1, count + 1)]

    def test_errors_of_some_prompts_only_are_still_an_excess(self):
        errors = [of_sequences(0, [[3.0]], [[0.0]], 4), of_sequences(1, [[1.0]], [[2.0]], 4)]
        result = curve(errors, 4)[-1]
        assert (result.accumulated, result.per_step, result.excess) == (2.0, 0.25, 1.0)
        assert result.percent == 100.0

    def test_it_can_be_negative(self):
        assert curve([of_totals(0, 1.0, 4.0)], 1)[0].percent == -75.0

    def test_standard_error_by_hand(self):
        """The ratio of the means is 1, the residuals are 1 and -1: sqrt((1 + 1) / (2 * 1)) / 2 = 1/2."""
        two = [of_totals(0, 3.0, 2.0), of_totals(1, 1.0, 2.0)]
        assert curve(two, 1)[0].standard_error == 50.0
        assert curve(two[:1], 1)[0].standard_error is None

    def test_a_mean_over_those_that_go_is_a_ratio_whose_error_has_both_in_it(self):
        """Of two prompts, one goes on: the mean of step 2 is 4 / 1; its linear part varies by 0 for the other too.

        R = (2 + 4) / 2 + 4 = 7 and l eps = 2 + 1 = 3. Numbers of the prompts: 2 + 4 and 4 + 4 for R, 3 and 3 for
        l eps; the residuals 6 - 7 and 8 - 7 give sqrt((1 + 1) / (2 * 1)) / 3 = 1/3.
        """
        errors = [
            of_sequences(0, [[2.0]], [[2.0, 1.0]], 2),
            of_sequences(1, [[4.0, 4.0]], [[2.0, 1.0]], 2),
        ]
        at = curve(errors, 2, average="unfinished")[-1]
        assert (at.accumulated, at.excess) == (7.0, 4.0)
        assert at.standard_error == pytest.approx(100 / 3)

    @pytest.mark.parametrize(("average", "first_token"), CONVENTIONS)
    def test_it_is_how_far_measurements_of_ragged_sequences_spread(self, average, first_token):
        source = random.Random(1)

        def sequences():
            return [
                [
                    source.expovariate(1.0)
                    for _ in range(1 + (source.random() < 0.7) + (source.random() < 0.5))
                ]
                for _ in range(2)
            ]

        results = [
            curve(
                [of_sequences(i, sequences(), sequences(), 3) for i in range(100)],
                3,
                average=average,
                first_token=first_token,
            )[-1]
            for _ in range(300)
        ]
        percents = torch.tensor([result.percent for result in results], dtype=torch.float64)
        mean = sum(result.standard_error for result in results) / len(results)
        assert mean == pytest.approx(float(percents.std()), rel=0.15)

    def test_standard_error_is_how_far_repeated_measurements_spread(self):
        source = random.Random(0)

        def measure():
            steps = [source.expovariate(1.0) for _ in range(200)]
            errors = [of_totals(i, s + source.expovariate(2.0), s + 0.2) for i, s in enumerate(steps)]
            return curve(errors, 1)[0]

        results = [measure() for _ in range(400)]
        percents = torch.tensor([result.percent for result in results], dtype=torch.float64)
        mean = sum(result.standard_error for result in results) / len(results)
        assert mean == pytest.approx(float(percents.std()), rel=0.12)
