"""Several teachers: their losses or distributions by weights, each formula in float64, and which models are asked for."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.special import log_softmax

from kdzoo.methods.model_names import teachers_to_load
from kdzoo.testing import check_method

TARGETS = [[3, 4], [5], []]
WEIGHTS = {"teacher": 1.0, "wide": 3.0, "deep": 4.0}
SHARES = {"teacher": 0.125, "wide": 0.375, "deep": 0.5}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weights": {"teacher": 0.5, "wide": 0.5}},
        {"weights": {"teacher": 2, "wide": 1}, "combine": "distributions", "divergence": "rkl"},
        {"weights": {"wide": 1, "base": 1}, "divergence": "jsd", "trust": True},
    ],
)
def test_it_keeps_the_rules(options):
    check_method("multi", options)


@pytest.fixture
def teachers():
    """The logits of three teachers on six tokens."""
    torch.manual_seed(1)
    return dict(zip(SHARES, torch.randn(3, 6, 9) * 2, strict=True))


@pytest.fixture
def student():
    torch.manual_seed(2)
    return torch.randn(6, 9) * 2


@pytest.fixture
def tokens(make_step):
    return make_step(TARGETS).target.scored


def logs(logits):
    return log_softmax(logits.double().numpy(), axis=-1)


def distance(name, log_p, log_q, beta=0.5):
    """The divergence of each token, [N]."""
    p, q = np.exp(log_p), np.exp(log_q)
    if name == "fkl":
        return (p * (log_p - log_q)).sum(-1)
    if name == "rkl":
        return (q * (log_q - log_p)).sum(-1)
    if name == "tvd":
        return np.abs(p - q).sum(-1) / 2
    log_m = np.log(beta * p + (1 - beta) * q)
    return (beta * p * (log_p - log_m) + (1 - beta) * q * (log_q - log_m)).sum(-1)


def given(multi, student, teachers, tokens):
    """What the method gives; the teacher's logits are those of the first of its weights, or of "teacher"."""
    own = multi.options.teacher_model
    others = {name: logits for name, logits in teachers.items() if name != own}
    return multi.divergence(student, teachers[own], tokens, others=others)


class TestLosses:
    @pytest.mark.parametrize("divergence", ["fkl", "rkl", "jsd", "tvd"])
    def test_the_distances_to_all_teachers_are_averaged_by_their_weights(
        self, hooks, student, teachers, tokens, divergence
    ):
        options = {} if divergence == "fkl" else {"divergence": divergence, "beta": 0.3}
        multi = hooks("multi", weights=WEIGHTS, kd_weight=2.0, **options)
        expected = sum(
            share * distance(divergence, logs(teachers[name]), logs(student), 0.3)
            for name, share in SHARES.items()
        )
        np.testing.assert_allclose(
            given(multi, student, teachers, tokens).numpy(), 2 * expected, rtol=2e-5, atol=1e-6
        )

    def test_a_teacher_may_count_the_less_the_less_it_expects_the_token(
        self, hooks, student, teachers, tokens
    ):
        multi = hooks("multi", weights=WEIGHTS, trust=True)
        expected = np.zeros(6)
        for name, share in SHARES.items():
            log_p = logs(teachers[name])
            own = -log_p[np.arange(6), tokens.ids.numpy()]
            expected += share * distance("fkl", log_p, logs(student)) / (1 + own)
        found = given(multi, student, teachers, tokens)
        np.testing.assert_allclose(found.numpy(), expected, rtol=2e-5)


class TestDistributions:
    @pytest.mark.parametrize("divergence", ["fkl", "rkl", "jsd", "tvd"])
    def test_the_distance_is_to_the_mean_of_the_teachers_by_their_weights(
        self, hooks, student, teachers, tokens, divergence
    ):
        multi = hooks("multi", weights=WEIGHTS, combine="distributions", divergence=divergence)
        mean = sum(share * np.exp(logs(teachers[name])) for name, share in SHARES.items())
        expected = distance(divergence, np.log(mean), logs(student))
        np.testing.assert_allclose(
            given(multi, student, teachers, tokens).numpy(), expected, rtol=2e-5, atol=1e-6
        )

    def test_for_the_forward_kl_both_have_the_same_gradients(self, hooks, student, teachers, tokens):
        gradients = []
        for combine in ("losses", "distributions"):
            leaf = student.clone().requires_grad_()
            loss = given(hooks("multi", weights=WEIGHTS, combine=combine), leaf, teachers, tokens).sum()
            gradients += torch.autograd.grad(loss, leaf)
        torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)

    def test_a_token_that_a_teacher_excludes_is_left_to_the_others(self, hooks, student, teachers, tokens):
        teachers["wide"][:, 3] = -float("inf")
        multi = hooks("multi", weights=WEIGHTS, combine="distributions")
        mean = sum(share * np.exp(logs(teachers[name])) for name, share in SHARES.items())
        expected = distance("fkl", np.log(mean), logs(student))
        np.testing.assert_allclose(given(multi, student, teachers, tokens).numpy(), expected, rtol=2e-5)


def test_mle_is_added_by_its_weight(hooks, make_step, mean_nll):
    step = make_step(TARGETS)
    rows = [[*row, 2] for row in TARGETS]
    assert hooks("multi", mle_weight=0.5).aux_loss(step).item() == pytest.approx(
        0.5 * mean_nll(step, rows, rows)
    )
    assert hooks("multi", mle_weight=0).aux_loss(step) is None


class TestWeights:
    @pytest.mark.parametrize(
        ("weights", "teaches", "loaded"),
        [
            ({"teacher": 1.0}, "teacher", ("teacher",)),
            ({"wide": 1.0, "teacher": 2.0}, "teacher", ("teacher", "wide")),
            ({"wide": 1.0, "deep": 1.0}, "wide", ("wide", "deep")),
            ({"teacher": 1.0, "base": 0.1}, "teacher", ("teacher",)),
        ],
    )
    def test_they_say_which_models_are_loaded(self, hooks, weights, teaches, loaded):
        options = hooks("multi", weights=weights).options
        assert options.teacher_model == teaches
        assert teachers_to_load(options, uses_teacher=True) == loaded

    @pytest.mark.parametrize(
        ("weights", "words"),
        [
            ({}, "must name a teacher at least"),
            ({"teacher": 0}, "teacher must have a weight greater than 0"),
            ({"teacher": float("inf")}, "and a finite one"),
            ({"student": 1}, "student is no teacher of this method"),
            ({"average": 1}, "average is no teacher of this method"),
        ],
    )
    def test_each_is_a_teacher_s_and_positive(self, hooks, weights, words):
        with pytest.raises(ValidationError, match=words):
            hooks("multi", weights=weights)
