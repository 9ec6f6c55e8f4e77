"""DPKD: the preference of one response over another, by the log ratios of both models."""

import math

import pytest
import torch
from pydantic import ValidationError

from kdzoo.methods.source import Source
from kdzoo.testing import check_method

TARGETS = [[3, 4, 5, 6], [7], [], [8, 9]]
OF_TEACHER = [[8], [9, 9, 9], [3], [4, 5, 6]]


def log_probability(model, prompt, row):
    """Log probability of a whole sequence in float64, token by token."""
    total = 0.0
    for t, token in enumerate(row):
        logits = model.next_logits(prompt, row[:t]).detach().double()
        total += float(logits[token] - logits.exp().sum().log())
    return total


def of_paper(step, rows, beta, *, by_length):
    """Equation 9, or 8, of each prompt; ``rows`` are both responses of one prompt after those of another."""
    losses = []
    for prompt in range(len(rows) // 2):
        rewards = []
        for row in rows[2 * prompt : 2 * prompt + 2]:
            q, p = (log_probability(model.model, prompt, row) for model in (step.student, step.teacher))
            rewards.append(beta * (q - p) / (len(row) if by_length else 1))
        losses.append(-math.log(1 / (1 + math.exp(rewards[1] - rewards[0]))))
    return losses


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"preferred": "ground_truth", "mle_weight": 0},
        {"length_normalization": False, "temperature": 0.7, "teacher_decoding": "beam"},
    ],
)
def test_it_keeps_the_rules(options):
    check_method("dpkd", options)


class TestSequences:
    def test_each_prompt_has_the_teacher_s_response_and_one_that_the_student_generates(
        self, hooks, make_step
    ):
        step, other = (make_step(TARGETS, teacher_targets=OF_TEACHER) for _ in range(2))
        rows = hooks("dpkd", temperature=0.7).rows(step)
        generated = other.student.generate(temperature=0.7)
        lengths = generated.lengths.tolist()
        own = [row[:length] for row, length in zip(generated.tokens.tolist(), lengths, strict=True)]
        assert rows[::2] == [[*row, 2] for row in OF_TEACHER]
        assert rows[1::2] == own
        assert step.training_sequence.sources.tolist() == [Source.TEACHER, Source.STUDENT] * len(TARGETS)
        assert hooks("dpkd").options.needs_teacher_target

    def test_or_the_ground_truth_in_the_teacher_s_place(self, hooks, make_step):
        step, dpkd = make_step(TARGETS), hooks("dpkd", preferred="ground_truth")
        assert dpkd.rows(step)[::2] == [[*row, 2] for row in TARGETS]
        assert not dpkd.options.needs_teacher_target


class TestLoss:
    @pytest.mark.parametrize("beta", [0.1, 2.0])
    @pytest.mark.parametrize("by_length", [True, False])
    @pytest.mark.parametrize("preferred", ["teacher", "ground_truth"])
    def test_it_is_the_paper_s_for_each_prompt(self, hooks, make_step, preferred, by_length, beta):
        step = make_step(TARGETS, teacher_targets=OF_TEACHER)
        dpkd = hooks("dpkd", beta=beta, length_normalization=by_length, preferred=preferred, kd_weight=3)
        expected = of_paper(step, dpkd.rows(step), beta, by_length=by_length)
        loss, _ = dpkd.aux_loss(step)
        assert loss.per == "prompt"
        assert loss.total.item() == pytest.approx(3 * sum(expected), rel=1e-5)

    def test_its_gradient_is_that_of_the_paper_s_formula_with_the_teacher_left_alone(self, hooks, make_step):
        step = make_step(TARGETS, teacher_targets=OF_TEACHER)
        dpkd = hooks("dpkd", beta=1)
        rows = dpkd.rows(step)
        loss, _ = dpkd.aux_loss(step)
        (given,) = torch.autograd.grad(loss.total, step.student.model.table)

        table = step.student.model.table.detach().double().requires_grad_()
        rewards = []
        for number, row in enumerate(rows):
            log_q = 0.0
            for t, token in enumerate(row):
                state = number // 2
                for before in row[:t]:
                    state = 31 * state + before + 1
                log_q = log_q + table[state % len(table)].log_softmax(-1)[token]
            rewards.append((log_q - log_probability(step.teacher.model, number // 2, row)) / len(row))
        pairs = zip(rewards[::2], rewards[1::2], strict=True)
        written_out = sum((1 + (own - best).exp()).log() for best, own in pairs)
        (expected,) = torch.autograd.grad(written_out, table)
        torch.testing.assert_close(given.double(), expected, rtol=1e-4, atol=1e-6)

    def test_mle_on_the_ground_truth_is_added(self, hooks, make_step, mean_nll):
        step = make_step(TARGETS, teacher_targets=OF_TEACHER)
        dpkd = hooks("dpkd", mle_weight=0.5)
        dpkd.sequences(step)
        _, mle = dpkd.aux_loss(step)
        with_end = [[*row, 2] for row in TARGETS]
        assert mle.item() == pytest.approx(0.5 * mean_nll(step, with_end, with_end), rel=1e-5)
        assert dpkd.options.scores_target

    def test_mle_of_no_weight_is_left_out(self, hooks, make_step):
        step, dpkd = make_step(TARGETS, teacher_targets=OF_TEACHER), hooks("dpkd", mle_weight=0)
        dpkd.sequences(step)
        assert len(dpkd.aux_loss(step)) == 1
        assert not dpkd.options.scores_target


@pytest.mark.parametrize("options", [{"beta": 0}, {"preferred": "student"}, {"gamma": 1}])
def test_options_out_of_range_are_errors(hooks, options):
    with pytest.raises(ValidationError):
        hooks("dpkd", **options)
