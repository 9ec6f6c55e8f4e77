"""Intervals and tests, against textbook values, independent computations and simulated data."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kdzoo.report.statistics import (
    holm,
    is_true_or_false,
    mcnemar,
    mean_interval,
    paired_test,
    sign_flip,
    variance_of_mean,
    wilson_interval,
)


def answers(*rows: str) -> np.ndarray:
    """Scores of true or false, a row for each seed: "1011"."""
    return np.array([[float(c) for c in row] for row in rows])


class TestIntervalOfOneSeed:
    def test_true_or_false_it_is_wilson_s(self) -> None:
        # Newcombe (1998), table I: 81 of 263, method 3
        scores = np.array([[1.0] * 81 + [0.0] * 182])
        assert mean_interval(scores) == pytest.approx((0.2553, 0.3662), abs=5e-5)

    @given(st.integers(0, 40), st.integers(0, 40))
    def test_it_holds_the_score_and_stays_within_0_and_1(self, right: int, wrong: int) -> None:
        if right + wrong == 0:
            return
        low, high = wilson_interval(right, right + wrong)
        assert 0 <= low <= right / (right + wrong) <= high <= 1

    def test_scores_beyond_0_and_1_have_student_s_interval(self) -> None:
        values = [3.0, 1.0, 4.0, 1.0, 5.0]
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert mean_interval(np.array([values])) == pytest.approx((expected.low, expected.high))

    def test_scores_between_are_less_uncertain_than_true_or_false_ones_of_the_same_mean(self) -> None:
        between = mean_interval(np.array([[0.4, 0.6] * 20]))
        extreme = mean_interval(np.array([[0.0, 1.0] * 20]))
        assert between is not None
        assert extreme is not None
        assert extreme[0] < between[0] < 0.5 < between[1] < extreme[1]

    def test_equal_scores_are_as_sure_as_the_number_of_questions_allows(self) -> None:
        assert mean_interval(np.full((1, 40), 0.5)) == pytest.approx(wilson_interval(20, 40), abs=0.01)

    def test_one_question_says_nothing_unless_true_or_false(self) -> None:
        assert mean_interval(np.array([[0.5]])) is None
        assert mean_interval(np.array([[1.0]])) == pytest.approx(wilson_interval(1, 1))


class TestVarianceOverSeedsAndQuestions:
    def test_it_is_the_analysis_of_variance_s(self) -> None:
        # by hand: rows' means 2, 4; columns' means 1.5, 3, 4.5; rest -.5 0 .5 / .5 0 -.5
        scores = np.array([[0.0, 2.0, 4.0], [3.0, 4.0, 5.0]])
        of_seeds = 3 * 2.0  # 3 questions x the variance of 2 and 4
        of_questions = 2 * 2.25  # 2 seeds x the variance of 1.5, 3, 4.5
        rest = 4 * 0.25 / 2
        found = variance_of_mean(scores)
        total = of_seeds + of_questions - rest
        assert found.value == pytest.approx(total / 6)
        assert found.degrees == pytest.approx(
            total**2 / (of_seeds**2 / 1 + of_questions**2 / 2 + rest**2 / 2)
        )

    def test_seeds_that_vary_less_than_chance_add_nothing(self) -> None:
        scores = answers("1100110011", "1100110011", "1100110011")
        found = variance_of_mean(scores)
        assert found.value == pytest.approx(scores[0].var(ddof=1) / 10)

    def test_it_is_without_bias(self) -> None:
        random = np.random.default_rng(0)
        seeds, questions, number = 4, 30, 3000
        found, means = [], []
        for _ in range(number):
            scores = (
                0.5 * random.normal(size=(seeds, 1))
                + random.normal(size=(1, questions))
                + random.normal(size=(seeds, questions))
            )
            found.append(variance_of_mean(scores).value)
            means.append(scores.mean())
        expected = 0.25 / seeds + 1 / questions + 1 / (seeds * questions)
        assert np.mean(found) == pytest.approx(expected, rel=0.05)
        assert np.var(means) == pytest.approx(expected, rel=0.1)

    def test_the_same_answers_of_all_seeds_are_as_sure_as_one_seed_s(self) -> None:
        one, three = answers("0" * 50), answers(*["0" * 50] * 3)
        assert mean_interval(three) == pytest.approx(mean_interval(one), abs=1e-9)


@pytest.mark.parametrize(
    ("seeds", "between_seeds", "mean"),
    [(1, 0.0, -3.0), (2, 0.2, -0.5), (3, 0.0, 1.0), (3, 0.2, -0.5), (5, 0.4, -2.0)],
)
def test_intervals_hold_the_truth_in_95_of_100_cases(seeds: int, between_seeds: float, mean: float) -> None:
    """Right answers by a logistic model with effects of questions and of seeds."""
    random = np.random.default_rng(1)
    number, questions, spread = 600, 120, 1.5
    effects = np.random.default_rng(2).normal(size=1_000_000) * math.hypot(spread, between_seeds)
    truth = float((1 / (1 + np.exp(-mean - effects))).mean())
    held = 0
    for _ in range(number):
        logits = (
            mean
            + between_seeds * random.normal(size=(seeds, 1))
            + spread * random.normal(size=(1, questions))
        )
        low, high = mean_interval(
            (random.random((seeds, questions)) < 1 / (1 + np.exp(-logits))).astype(float)
        ) or (1, 0)
        held += low <= truth <= high
    assert 0.92 <= held / number <= 0.99


class TestMcNemar:
    def test_a_table_worked_by_hand(self) -> None:
        # only the first: 8; only the second: 2. P(X <= 2 or X >= 8), X of 10 fair coins: 2 (1 + 10 + 45) / 1024
        first = answers("1" * 8 + "0" * 2 + "1" * 5 + "0" * 5)
        second = answers("0" * 8 + "1" * 2 + "1" * 5 + "0" * 5)
        assert mcnemar(first[0], second[0]) == pytest.approx(112 / 1024)

    def test_models_that_get_the_same_questions_do_not_differ(self) -> None:
        assert mcnemar(answers("1100")[0], answers("1100")[0]) == 1

    @given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
    def test_it_is_the_binomial_distribution_s_both_tails(self, pairs: list[tuple[bool, bool]]) -> None:
        b = sum(x and not y for x, y in pairs)
        c = sum(y and not x for x, y in pairs)
        tail = sum(math.comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
        first, second = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
        assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail) if b != c else 1.0)


class TestSignFlip:
    @given(st.lists(st.integers(-4, 4), min_size=1, max_size=8))
    def test_of_few_questions_it_counts_all_signs(self, differences: list[int]) -> None:
        sums = [
            abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
            for signs in itertools.product((1, -1), repeat=len(differences))
        ]
        expected = sum(value >= abs(sum(differences)) for value in sums) / len(sums)
        assert sign_flip(np.array(differences, dtype=float)) == pytest.approx(expected)

    def test_of_many_it_is_near_the_normal_approximation_and_the_same_each_time(self) -> None:
        differences = np.random.default_rng(3).normal(0.1, 1, size=300)
        z = differences.sum() / math.sqrt((differences**2).sum())
        assert sign_flip(differences) == pytest.approx(2 * stats.norm.sf(abs(z)), abs=0.02)
        assert sign_flip(differences) == sign_flip(differences)

    def test_it_agrees_with_mcnemar_where_both_may_be_used(self) -> None:
        first, second = answers("1" * 9 + "0" * 20), answers("0" * 7 + "1" * 4 + "0" * 18)
        # 7 and 2 discordant: exact in both
        assert sign_flip(first[0] - second[0]) == pytest.approx(mcnemar(first[0], second[0]))

    def test_no_difference_is_no_evidence(self) -> None:
        assert sign_flip(np.zeros(5)) == 1


class TestPairedTest:
    def test_one_seed_each_and_true_or_false_is_mcnemar_s(self) -> None:
        test = paired_test(answers("111100"), answers("000011"))
        assert test.name == "McNemar's exact test"
        assert test.p == pytest.approx(mcnemar(answers("111100")[0], answers("000011")[0]))

    def test_several_seeds_or_other_scores_flip_signs_of_the_seeds_means(self) -> None:
        own, baseline = answers("1111", "1110"), answers("0010")
        test = paired_test(own, baseline)
        assert test.name == "sign-flip permutation test"
        assert test.p == pytest.approx(sign_flip(np.array([1.0, 1.0, 0.0, 0.5])))
        assert (
            paired_test(np.array([[0.5, 0.2]]), np.array([[0.5, 0.1]])).name == "sign-flip permutation test"
        )

    @pytest.mark.parametrize("seeds", [1, 2])
    def test_where_nothing_differs_p_values_are_uniform_or_a_little_too_high(self, seeds: int) -> None:
        random = np.random.default_rng(4)
        found = []
        for _ in range(100):
            chance = random.random(60)
            own, baseline = ((random.random((seeds, 60)) < chance).astype(float) for _ in range(2))
            found.append(paired_test(own, baseline).p)
        for level in (0.05, 0.2, 0.5):
            share = float(np.mean(np.array(found) <= level))
            spread = math.sqrt(level * (1 - level) / len(found))
            assert share <= level + 3 * spread
            assert share >= level * (0.35 if seeds == 1 else 0.6) - 3 * spread


class TestHolm:
    def test_a_worked_example(self) -> None:
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])

    def test_of_one_it_changes_nothing(self) -> None:
        assert holm([0.2]) == [0.2]
        assert holm([]) == []

    @given(st.lists(st.floats(0, 1), max_size=20))
    def test_it_rejects_what_the_step_down_procedure_rejects(self, p_values: list[float]) -> None:
        rejected = set()
        for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
            if p_values[index] * (len(p_values) - rank) > 0.05:
                break
            rejected.add(index)
        corrected = holm(p_values)
        assert {index for index, p in enumerate(corrected) if p <= 0.05} == rejected
        assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))


def test_true_or_false_is_told_from_other_scores() -> None:
    assert is_true_or_false(answers("010"))
    assert not is_true_or_false(np.array([[0.0, 0.5]]))
