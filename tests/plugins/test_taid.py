"""TAID: the teacher between student and teacher, and how it moves from the one to the other."""

import math

import pytest
import torch
from pydantic import ValidationError

from kdzoo.testing import check_method, method_report

TARGETS = [[3, 4, 5], [], [6, 7]]


@pytest.mark.parametrize("options", [{}, {"mle_weight": 0.5, "kd_weight": 2, "t_start": 0.2, "t_end": 0.8}])
def test_it_keeps_the_rules(options):
    check_method("taid", options)


def test_the_cross_entropy_keeps_them_but_is_not_smallest_at_the_teacher():
    failed = [result.name for result in method_report("taid", {"loss": "cross_entropy"}) if not result.passed]
    assert failed == ["divergence_is_smallest_at_the_teacher"]


def of_paper(student, teacher, t):
    """KL(p_t‖q) of each token in float64, p_t a constant."""
    p_t = ((1 - t) * student.detach() + t * teacher).softmax(-1)
    return (p_t * (p_t.log() - student.log_softmax(-1))).sum(-1)


def of_code(student, teacher, t):
    """taid.py of SakanaAI/TAID: -sum p_t log q."""
    p_t = ((1 - t) * student.detach() + t * teacher).softmax(-1)
    return -(p_t * student.log_softmax(-1)).sum(-1)


@pytest.mark.parametrize(("loss", "formula"), [("kl", of_paper), ("cross_entropy", of_code)])
@pytest.mark.parametrize("t", [0.2, 0.7, 1.0])
def test_its_divergence_is_from_the_teacher_at_t(hooks, make_step, logits, loss, formula, t):
    taid = hooks("taid", loss=loss, kd_weight=2)
    step = make_step(TARGETS, state=taid.setup())
    step.state.t.fill_(t)
    student, teacher = logits
    leaf, wide = student.clone().requires_grad_(), student.double().requires_grad_()
    given, expected = taid.divergence(leaf, teacher, step=step), 2 * formula(wide, teacher.double(), t)
    torch.testing.assert_close(given.double(), expected, rtol=1e-4, atol=1e-6)
    gradients = [torch.autograd.grad(losses.sum(), z)[0] for losses, z in ((given, leaf), (expected, wide))]
    torch.testing.assert_close(gradients[0].double(), gradients[1], rtol=1e-4, atol=1e-6)


def test_it_sets_out_at_t_start(hooks):
    assert float(hooks("taid").setup().t) == pytest.approx(0.4)
    assert float(hooks("taid", t_start=0.2).setup().t) == pytest.approx(0.2)


class TestMovement:
    def steps(self, taid, make_step, losses):
        """t after each of the steps that have these losses."""
        state, found = taid.setup(), []
        for done, loss in enumerate(losses):
            step = make_step(TARGETS, state=state, progress=done / len(losses))
            taid.sequences(step)
            taid.after_step(step, divergence=loss)
            found.append(float(state.t))
        return found

    @staticmethod
    def by_code(losses, alpha, beta, t_start, t_end, adaptive=True):
        """update_t of taid.py of SakanaAI/TAID, called once a step, in float64."""
        t, previous, momentum, found = t_start, math.inf, 0.0, []
        for step, loss in enumerate(losses):
            if math.isinf(previous):
                previous = loss
            else:
                relative_change = (previous - loss) / (previous + 1e-15)
                momentum = beta * momentum + (1 - beta) * relative_change
                target = t_start + (t_end - t_start) * step / len(losses)
                delta = alpha / (1 + math.exp(-momentum)) * (1 - t)
                t = min(t_end, max(target, t + delta)) if adaptive else target
                previous = loss
            found.append(t)
        return found

    LOSSES = (2.0, 1.5, 1.6, 0.4, 3.0, 0.1, 0.1, 0.05, 0.2, 0.1)

    @pytest.mark.parametrize(
        "options",
        [
            {"alpha": 5e-4, "beta": 0.99, "t_start": 0.4, "t_end": 1.0},
            {"alpha": 0.3, "beta": 0.5, "t_start": 0.4, "t_end": 1.0},
            {"alpha": 0.9, "beta": 0.0, "t_start": 0.2, "t_end": 0.8},
            {"alpha": 0.9, "beta": 0.5, "t_start": 0.2, "t_end": 0.8, "adaptive": False},
        ],
    )
    def test_it_is_that_of_the_code(self, hooks, make_step, options):
        found = self.steps(hooks("taid", **options), make_step, self.LOSSES)
        assert found == pytest.approx(self.by_code(self.LOSSES, **options), rel=1e-6)

    def test_by_hand(self, hooks, make_step):
        # the loss halves: momentum 1/2 (1/2) = 1/4, t = 0 + 1/2 sigmoid(1/4) (1 - 0), more than 1/4 of the training;
        # then momentum 1/8, and half of the training is more than 0.28 + 1/2 sigmoid(1/8) (1 - 0.28) = 0.47
        taid = hooks("taid", alpha=0.5, beta=0.5, t_start=0.0)
        found = self.steps(taid, make_step, [2.0, 1.0, 1.0, 1.0])
        assert found[:3] == pytest.approx([0, 0.5 / (1 + math.exp(-0.25)), 0.5])

    def test_a_loss_that_shoots_up_stops_it_without_an_error(self, hooks, make_step):
        found = self.steps(hooks("taid", alpha=0.5, beta=0.0), make_step, [1e-9, 1e3, 1e3, 1e3])
        assert found == sorted(found)
        assert all(0.4 - 1e-6 <= t <= 1 for t in found)

    def test_it_follows_the_divergence_alone(self, hooks, make_step):
        taid = hooks("taid", alpha=0.5, beta=0.5)
        state = taid.setup()
        for auxiliary in (1.0, 9.0):
            step = make_step(TARGETS, state=state)
            taid.sequences(step)
            taid.after_step(step, divergence=1.0, auxiliary=auxiliary)
        assert float(state.momentum) == 0


def test_it_trains_on_the_ground_truth_with_mle_if_it_is_asked_for(hooks, make_step, mean_nll):
    step, with_end = make_step(TARGETS), [[*row, 2] for row in TARGETS]
    taid = hooks("taid")
    assert taid.sequences(step) is step.target
    assert taid.aux_loss(step) is None
    weighted = hooks("taid", mle_weight=0.5).aux_loss(step).item()
    assert weighted == pytest.approx(0.5 * mean_nll(step, with_end, with_end), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"t_start": 1}, "less than 1"),
        ({"t_end": 0}, "greater than 0"),
        ({"t_start": 0.5, "t_end": 0.4}, "t_end must be at least t_start, 0.5, not 0.4"),
        ({"alpha": 2}, "less than or equal to 1"),
        ({"beta": 1}, "less than 1"),
        ({"loss": "rkl"}, "loss"),
    ],
)
def test_options_out_of_range_are_errors(hooks, options, words):
    with pytest.raises(ValidationError, match=words):
        hooks("taid", **options)
