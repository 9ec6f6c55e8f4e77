"""What holds of every divergence: it survives every logit, rests at the teacher, and trains the student alone."""

import math
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from logits_of_tokens import logit_pairs, value_and_gradient

from kdzoo import divergences


def with_(function, *settings, **named):
    return lambda student, teacher: function(student, teacher, *settings, **named)


def at_token(function, token):
    return lambda student, teacher: function(student, teacher, torch.full((len(student),), token))


def assistant(alpha, order, ab):
    return with_(divergences.assistant_alpha_beta, alpha=alpha, share=0.3, order=order, ab=ab)


DIVERGENCES = {
    "fkl": divergences.forward_kl,
    "rkl": divergences.reverse_kl,
    "jsd": divergences.jensen_shannon,
    "jsd 0.1": with_(divergences.jensen_shannon, beta=0.1),
    "jsd 0.9": with_(divergences.jensen_shannon, beta=0.9),
    "teacher to mixture": divergences.teacher_to_mixture_kl,
    "student to mixture": divergences.student_to_mixture_kl,
    "skew": divergences.skew_kl,
    "skew reverse": divergences.skew_reverse_kl,
    "tvd": divergences.total_variation,
    "intermediate teacher": with_(divergences.intermediate_teacher_kl, 0.4),
    "head and tail": divergences.head_tail_kl,
    "head and tail, head within": with_(divergences.head_tail_kl, 0.8, "within"),
    "sigmoid": divergences.sigmoid_weighted_kl,
    "sigmoid 10": with_(divergences.sigmoid_weighted_kl, 10.0),
    **{
        f"alpha {alpha}, beta {beta}": with_(divergences.alpha_beta, alpha, beta)
        for alpha, beta in [(0.2, 0.7), (0, 0.5), (0.5, 0), (0, 0), (0.5, -0.5), (-1, 1), (-0.5, 2), (2, 1)]
    },
    **{
        f"assistant {alpha} {order} {ab}": assistant(alpha, order, ab)
        for alpha, order, ab in [
            (-1, "pr", (1, 0)),
            (0.5, "pr", (0.2, 0.7)),
            (1, "qr", (1, 0)),
            (1, "rp", (0.2, 0.7)),
            (3, "rq", (1, 0)),
            (3, "pr", (0.2, 0.7)),
        ]
    },
    "concrete": divergences.concrete_score,
    "concrete, teacher and student": with_(divergences.concrete_score, "teacher", "student", 1.5),
    "concrete, uniform and student": with_(divergences.concrete_score, "uniform", "student"),
    "target": at_token(divergences.target_kl, 0),
    "not target": at_token(divergences.non_target_kl, 1),
    "sampled": at_token(divergences.sampled_reverse_kl, 0),
}
MAY_BE_NEGATIVE = {"sampled"}
BOUNDED = {
    "tvd": 1.0,
    **dict.fromkeys(("skew", "skew reverse"), math.log(10)),
    **dict.fromkeys(("jsd", "jsd 0.1", "jsd 0.9", "teacher to mixture", "student to mixture"), math.log(2)),
}

every_divergence = pytest.mark.parametrize("name", DIVERGENCES)


@every_divergence
class TestEveryLogit:
    """Infinite, huge and equal logits give no NaN, neither in value nor in gradient."""

    @given(pair=logit_pairs(-(2.0**100), 2.0**100), zeros=st.integers(0, 2**32 - 1))
    @settings(max_examples=60, deadline=None)
    def test_values_and_gradients_are_finite(self, name, pair, zeros):
        student, teacher = (torch.from_numpy(logits.copy()) for logits in pair)
        source = torch.Generator().manual_seed(zeros)
        for logits in (student, teacher):
            impossible = torch.rand(logits.shape, generator=source) < 0.4
            impossible[:, 0] = False  # one token must be possible
            logits[impossible] = -torch.inf
        values, gradient = value_and_gradient(DIVERGENCES[name], student, teacher)
        assert values.isfinite().all()
        assert gradient.isfinite().all()

    @given(pair=logit_pairs(-40, 40), dtype=st.sampled_from([torch.bfloat16, torch.float16, torch.float32]))
    @settings(max_examples=40, deadline=None)
    def test_values_are_not_negative_and_within_their_bound(self, name, pair, dtype):
        values = DIVERGENCES[name](*(torch.from_numpy(logits).to(dtype) for logits in pair))
        if name not in MAY_BE_NEGATIVE:
            # a sum of terms of both signs ends a rounding below zero
            assert (values >= -1e-6).all()
        assert (values <= BOUNDED.get(name, torch.inf) + 1e-6).all()

    def test_equal_models_are_at_distance_zero_without_gradient(self, name):
        torch.manual_seed(0)
        logits = torch.randn(5, 300) * 4
        values, gradient = value_and_gradient(DIVERGENCES[name], logits, logits)
        # a few roundings of a probability are left, other ones on another processor
        assert values.abs().max() < 1e-6
        assert gradient.abs().max() < 1e-6

    def test_a_token_that_neither_model_can_give_changes_nothing(self, name):
        torch.manual_seed(0)
        student, teacher = torch.randn(2, 4, 7)
        values, gradient = value_and_gradient(DIVERGENCES[name], student, teacher)
        nothing = torch.full((4, 3), -torch.inf)
        wider = value_and_gradient(
            DIVERGENCES[name], torch.cat([student, nothing], 1), torch.cat([teacher, nothing], 1)
        )
        torch.testing.assert_close(wider[0], values)
        torch.testing.assert_close(wider[1], torch.cat([gradient, torch.zeros(4, 3)], 1))

    def test_an_overflowed_logit_is_not_hidden(self, name):
        student, teacher = torch.randn(2, 2, 5)
        student[0, 1] = torch.nan
        values = DIVERGENCES[name](student, teacher)
        assert values[0].isnan()
        assert values[1].isfinite()


@every_divergence
class TestGradient:
    def test_it_reaches_the_student_alone(self, name):
        student, teacher = torch.randn(2, 3, 5)
        student, teacher = student.detach().requires_grad_(), teacher.detach().requires_grad_()
        DIVERGENCES[name](student, teacher).sum().backward()
        assert student.grad.abs().sum() > 0
        assert teacher.grad is None

    def test_it_has_the_student_s_type(self, name):
        student, teacher = torch.randn(2, 3, 5)
        wide = value_and_gradient(DIVERGENCES[name], student.bfloat16().float(), teacher.bfloat16().float())[
            1
        ]
        narrow = value_and_gradient(DIVERGENCES[name], student.bfloat16(), teacher.bfloat16())[1]
        assert narrow.dtype == torch.bfloat16
        torch.testing.assert_close(narrow.float(), wide, rtol=2**-7, atol=1e-6)

    def test_it_may_be_asked_for_twice(self, name):
        student = torch.randn(3, 5, requires_grad=True)
        total = DIVERGENCES[name](student, torch.randn(3, 5)).sum()
        first, second = (torch.autograd.grad(total, student, retain_graph=True)[0] for _ in range(2))
        assert torch.equal(first, second)

    def test_the_logits_themselves_stay_as_they_were(self, name):
        student, teacher = torch.randn(2, 3, 5)
        copies = student.clone(), teacher.clone()
        value_and_gradient(DIVERGENCES[name], student, teacher)
        assert torch.equal(student, copies[0])
        assert torch.equal(teacher, copies[1])

    def test_tokens_do_not_mix(self, name):
        torch.manual_seed(0)
        student, teacher = torch.randn(2, 6, 9) * 3
        values, gradient = value_and_gradient(DIVERGENCES[name], student, teacher)
        for token in range(6):
            alone = value_and_gradient(DIVERGENCES[name], student[token, None], teacher[token, None])
            torch.testing.assert_close(alone[0][0], values[token])
            torch.testing.assert_close(alone[1][0], gradient[token])


def test_importing_the_divergences_leaves_torch_alone():
    code = "import sys; from kdzoo import divergences; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=os.environ).returncode == 0
