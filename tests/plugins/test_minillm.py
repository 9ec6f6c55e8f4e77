"""MiniLLM: sampling from a mixture, what tokens are rewarded for, and the gradient of the paper."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from kdzoo.methods.source import Source
from kdzoo.testing import check_method

TARGETS = [[3, 4, 5, 6], [7], [], [8, 9]]
LIMIT = 8


def log_distribution(model, prompt, prefix):
    return model.model.next_logits(prompt, prefix).detach().double().log_softmax(-1).numpy()


def rewards(step, rows, *, single_step=True, length_norm=True):
    """R of every token, by the paper's sums in float64."""
    found = []
    for prompt, row in enumerate(rows):
        log_ratios = [
            log_distribution(step.teacher, prompt, row[:t])[token]
            - log_distribution(step.student, prompt, row[:t])[token]
            for t, token in enumerate(row)
        ]
        for t in range(len(row)):
            terms = log_ratios[t + 1 :] if single_step else log_ratios[t:]
            found.append(sum(terms) / (max(1, len(terms)) if length_norm else 1))
    return found


@pytest.mark.parametrize(
    "options", [{}, {"alpha": 0, "mle_weight": 0}, {"single_step": False, "length_norm": False}]
)
def test_it_keeps_the_rules(options):
    check_method("minillm", options)


class TestSequences:
    @pytest.mark.parametrize("alpha", [0.0, 0.5])
    def test_each_token_is_sampled_from_one_of_the_two_models(self, hooks, make_step, alpha):
        """With probability alpha from the teacher: from the mixture of the two distributions."""
        step = make_step(TARGETS)
        rows = hooks("minillm", alpha=alpha).rows(step)
        numbers = make_step(TARGETS).generator.per_row(2 * LIMIT).double().numpy()
        from_teacher = 0
        for prompt, row in enumerate(rows):
            for t, token in enumerate(row):
                which, number = numbers[prompt, 2 * t : 2 * t + 2]
                from_teacher += which < alpha
                model = step.teacher if which < alpha else step.student
                cumulative = np.exp(log_distribution(model, prompt, row[:t])).cumsum()
                assert token == np.searchsorted(cumulative, number * cumulative[-1], side="right")
        assert (from_teacher > 0) == (alpha > 0)
        assert set(step.training_sequence.sources.tolist()) == {Source.STUDENT}

    @pytest.mark.parametrize("single_step", [True, False])
    @pytest.mark.parametrize("length_norm", [True, False])
    def test_a_token_is_rewarded_for_what_follows(self, hooks, make_step, single_step, length_norm):
        step = make_step(TARGETS)
        choices = {"single_step": single_step, "length_norm": length_norm}
        minillm = hooks("minillm", **choices)
        rows = minillm.rows(step)
        given = step.training_sequence.scored.values["reward"]
        np.testing.assert_allclose(given.numpy(), rewards(step, rows, **choices), rtol=1e-4, atol=1e-5)


def gradient_of_paper(step, rows, alpha, cliprange):
    """The paper's final gradient with respect to the student's table, negated, summed over tokens; with the code's clipping."""
    table = step.student.model.table.detach().double().requires_grad_()
    reward = iter(rewards(step, rows))
    total = 0.0
    for prompt, row in enumerate(rows):
        state = prompt
        for t, token in enumerate(row):
            log_q = table[state % len(table)].log_softmax(-1)
            log_p = torch.from_numpy(log_distribution(step.teacher, prompt, row[:t]))
            q, p = log_q[token].exp().item(), log_p[token].exp().item()
            weight, r = q / (alpha * p + (1 - alpha) * q), next(reward)
            too_far = weight > 1 + cliprange if r > 0 else weight < 1 - cliprange
            single = (log_q.exp() * (log_p - log_q)).sum()
            long = 0.0 if too_far else r * log_q[token]
            total = total - weight * (single + long)
            state = 31 * state + token + 1
    return torch.autograd.grad(total, table)[0]


@pytest.mark.parametrize(("alpha", "cliprange"), [(0.2, 0.2), (0.2, 0.05), (0.6, 1.0), (0.0, 0.2)])
def test_its_gradient_is_the_paper_s(hooks, make_step, alpha, cliprange):
    step = make_step(TARGETS)
    minillm = hooks("minillm", alpha=alpha, cliprange=cliprange)
    rows = minillm.rows(step)
    sequences = step.training_sequence
    student, teacher = (model.logits(sequences)[sequences.mask] for model in (step.student, step.teacher))
    losses = minillm.divergence(student, teacher.detach(), sequences.scored)
    (given,) = torch.autograd.grad(losses.sum(), step.student.model.table)
    expected = gradient_of_paper(step, rows, alpha, cliprange)
    torch.testing.assert_close(given.double(), expected, rtol=1e-3, atol=1e-5)


def test_its_value_is_that_of_its_code_s_loss_without_what_is_left_out(hooks, make_step):
    """microsoft/LMOps: pg_loss with the ratio times w, and reg_loss; here the latter is weighed."""
    step = make_step(TARGETS)
    minillm = hooks("minillm", kd_weight=2)
    minillm.sequences(step)
    scored, mask = step.training_sequence.scored, step.training_sequence.mask
    student, teacher = (m.logits(step.training_sequence)[mask].detach() for m in (step.student, step.teacher))
    q, p = student.double().softmax(-1), teacher.double().softmax(-1)
    at_token = torch.arange(len(scored)), scored.ids
    w = q[at_token] / (0.8 * q[at_token] + 0.2 * p[at_token])
    advantage = scored.values["reward"].double()
    pg_loss = torch.max(-advantage * w, -advantage * torch.clamp(w, 0.8, 1.2))
    reg_loss = (q * (q / p).log()).sum(-1)
    given = minillm.divergence(student, teacher, scored)
    torch.testing.assert_close(given.double(), 2 * (pg_loss + w * reg_loss), rtol=1e-4, atol=1e-5)


def test_without_the_single_step_part_the_policy_gradient_is_all(hooks, make_step):
    step = make_step(TARGETS)
    whole, alone = (hooks("minillm", single_step=single) for single in (True, False))
    whole.sequences(step)
    scored, mask = step.training_sequence.scored, step.training_sequence.mask
    student, teacher = (m.logits(step.training_sequence)[mask].detach() for m in (step.student, step.teacher))
    assert not torch.equal(
        whole.divergence(student, teacher, scored), alone.divergence(student, teacher, scored)
    )
    at_teacher = alone.divergence(teacher, teacher, scored)
    torch.testing.assert_close(at_teacher, -scored.values["reward"])


def test_mle_on_the_ground_truth_is_added(hooks, make_step, mean_nll):
    step = make_step(TARGETS)
    minillm = hooks("minillm", mle_weight=0.5)
    with_end = [[*row, 2] for row in TARGETS]
    assert minillm.aux_loss(step).item() == pytest.approx(0.5 * mean_nll(step, with_end, with_end), rel=1e-5)
    assert minillm.options.scores_target
    assert hooks("minillm", mle_weight=0).aux_loss(step) is None


def test_its_defaults_are_the_paper_s_and_its_code_s(hooks):
    options = hooks("minillm").options
    assert (options.alpha, options.cliprange, options.single_step, options.length_norm) == (
        0.2,
        0.2,
        True,
        True,
    )


@pytest.mark.parametrize("options", [{"alpha": 1}, {"cliprange": 0}, {"gamma": 0.95}])
def test_options_out_of_range_are_errors(hooks, options):
    with pytest.raises(ValidationError):
        hooks("minillm", **options)
