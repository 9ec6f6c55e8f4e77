"""AMiD: the assistant between teacher and student, what is compared with it, and on which sequences."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from kdzoo.methods.source import Source
from kdzoo.testing import check_method

TARGETS = [[3, 4, 5], [], [6, 7]]


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


def of_paper(student, teacher, alpha, share, order, ab):
    """The paper's loss of one token in float64; ``ab`` None is KL."""
    p, q = softmax(teacher), softmax(student)
    k = (1 - alpha) / 2
    r = p**share * q ** (1 - share) if k == 0 else (share * p**k + (1 - share) * q**k) ** (1 / k)
    named = {"p": p, "q": q, "r": r / r.sum()}
    x, y = (named[name] for name in order)
    if ab is None:
        return (x * np.log(x / y)).sum()
    a, b = ab
    return -(x**a * y**b - a / (a + b) * x ** (a + b) - b / (a + b) * y ** (a + b)).sum() / (a * b)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"data": "student"},
        {"data": "student", "mle_weight": 0.5, "temperature": 0.7},
        {"alpha": 1, "order": "qr", "divergence": "kl"},
        {"alpha": -5, "order": "rq", "ab_alpha": 0, "ab_beta": 1},
    ],
)
def test_it_keeps_the_rules(options):
    check_method("amid", options)


@pytest.mark.parametrize("order", ["pr", "qr", "rp", "rq"])
@pytest.mark.parametrize(("alpha", "share"), [(-1, 0.1), (0.5, 0.5), (1, 0.3), (3, 0.5)])
@pytest.mark.parametrize("divergence", ["ab", "kl"])
def test_its_divergence_is_the_paper_s(hooks, logits, divergence, alpha, share, order):
    amid = hooks("amid", divergence=divergence, alpha=alpha, order=order, kd_weight=2, **{"lambda": share})
    pairs = zip(*(side.double().numpy() for side in logits), strict=True)
    ab = (0.2, 0.7) if divergence == "ab" else None
    expected = [2 * of_paper(s, t, alpha, share, order, ab) for s, t in pairs]
    np.testing.assert_allclose(amid.divergence(*logits).numpy(), expected, rtol=5e-5, atol=1e-6)


def test_its_defaults_are_those_of_its_code(hooks, logits):
    def code(student, teacher):
        # train_0.1B_1.5B.sh of aailab-kaist/AMiD: ab, pr, alpha 0.5, lam 0.5; the assistant in logarithms
        log_p, log_q = np.log(softmax(teacher)), np.log(softmax(student))
        first, second = math.log(0.5) + 0.25 * log_p, math.log(0.5) + 0.25 * log_q
        log_r = np.log(softmax(4 * np.logaddexp(first, second)))
        terms = np.exp(0.2 * log_p + 0.7 * log_r) - 2 / 9 * np.exp(0.9 * log_p) - 7 / 9 * np.exp(0.9 * log_r)
        return -terms.sum() / 0.14

    pairs = zip(*(side.double().numpy() for side in logits), strict=True)
    expected = [code(s, t) for s, t in pairs]
    np.testing.assert_allclose(hooks("amid").divergence(*logits).numpy(), expected, rtol=5e-5, atol=1e-6)


class TestData:
    def test_it_trains_on_the_ground_truth_without_mle(self, hooks, make_step):
        step, amid = make_step(TARGETS), hooks("amid")
        assert amid.sequences(step) is step.target
        assert amid.aux_loss(step) is None
        assert amid.options.keeps_target_lengths
        assert not amid.options.scores_target

    def test_or_on_what_the_student_generates(self, hooks, make_step):
        step = make_step(TARGETS)
        amid = hooks("amid", data="student", temperature=0.7)
        expected = make_step(TARGETS).student.generate(temperature=0.7)
        assert amid.sequences(step).tokens.tolist() == expected.tokens.tolist()
        assert set(step.training_sequence.sources.tolist()) == {Source.STUDENT}
        assert not amid.options.keeps_target_lengths

    def test_mle_is_that_of_the_ground_truth_in_both_cases(self, hooks, make_step, mean_nll):
        with_end = [[*row, 2] for row in TARGETS]
        for data in ("ground_truth", "student"):
            step, amid = make_step(TARGETS), hooks("amid", data=data, mle_weight=0.5)
            amid.sequences(step)
            expected = 0.5 * mean_nll(step, with_end, with_end)
            assert amid.aux_loss(step).item() == pytest.approx(expected, rel=1e-5)
            assert amid.options.scores_target == (data == "student")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lambda": 0}, "greater than 0"),
        ({"lambda": 1}, "less than 1"),
        ({"alpha": 11}, "less than or equal to 10"),
        ({"order": "pq"}, "order"),
        ({"data": "teacher"}, "data"),
        ({"ab_alpha": -1}, r"alpha \+ beta must be at least 0"),
        ({"lam": 0.5}, "lam"),
    ],
)
def test_options_out_of_range_are_errors(hooks, options, words):
    with pytest.raises(ValidationError, match=words):
        hooks("amid", **options)
