"""OPSD: what of the student teaches after which prompt, the divergence among its four, and the tokens left out."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.special import log_softmax

from kdzoo.methods.source import Source
from kdzoo.testing import RandomBatch, TableStep, check_method

TARGETS = [[3, 4, 5, 6], [7], []]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"teacher": "student", "divergence": "rkl", "temperature": 0},
        {"teacher": "average", "decay": 0.95, "divergence": "fkl"},
        {"divergence": "sampled"},
        {"skip_tokens": 3},
    ],
)
def test_it_keeps_the_rules(options):
    check_method("opsd", options)


@pytest.mark.parametrize("temperature", [0, 0.7, 1.0])
def test_it_trains_on_what_the_student_generates_after_its_own_prompt(hooks, make_step, temperature):
    sequences = hooks("opsd", temperature=temperature).sequences(make_step(TARGETS))
    expected = make_step(TARGETS).student.generate(temperature=temperature)
    assert torch.equal(sequences.tokens, expected.tokens)
    assert set(sequences.sources.tolist()) == {Source.STUDENT}


class TestTeacher:
    """What the core is asked for, and that a step then has it."""

    @pytest.mark.parametrize(
        ("options", "model", "decay"),
        [
            ({}, "base", None),
            ({"teacher": "student"}, "student", None),
            ({"teacher": "average"}, "average", 0.99),
            ({"teacher": "average", "decay": 0.5}, "average", 0.5),
        ],
    )
    def test_it_is_the_student_in_one_of_its_states_and_reads_another_prompt(
        self, hooks, options, model, decay
    ):
        given = hooks("opsd", **options).options
        assert (given.teacher_model, given.average_decay) == (model, decay)
        assert given.teacher_is_privileged
        assert given.teacher_names == ()
        assert given.privileged_prompt.format(prompt="x", target="y") == (
            "x\n\nCorrect solution:\n\ny\n\nCorrectly solve the original question.\n"
        )
        batch = RandomBatch()
        step: TableStep = batch.step(options=given)
        sequences = step.target
        own = batch.student if model == "student" else batch.other(model)
        found = step.teacher.logits(sequences)[sequences.mask]
        assert not found.requires_grad
        assert torch.equal(found, step.model(model, privileged=True).logits(sequences)[sequences.mask])
        plain = torch.stack(
            [
                own.next_logits(number, row[:t])
                for number, row, n in zip(
                    step.examples, sequences.tokens.tolist(), sequences.lengths.tolist(), strict=True
                )
                for t in range(n)
            ]
        )
        assert not torch.equal(found, plain)  # the same weights after the student's own prompts

    def test_the_prompt_must_say_where_the_student_s_stands(self, hooks):
        with pytest.raises(ValidationError, match=r"must have \{prompt\}"):
            hooks("opsd", teacher_prompt="{target}")


class TestDivergence:
    @pytest.fixture
    def tokens(self, make_step):
        """Six scored tokens of three sequences, at the positions 0 1 2, 0 1 and 0."""
        return make_step([[3, 4], [5], []]).target.scored

    @staticmethod
    def logs(logits):
        return [log_softmax(one.double().numpy(), axis=-1) for one in logits]

    @pytest.mark.parametrize("beta", [0.1, 0.5])
    def test_jsd_is_to_the_mixture_that_has_beta_of_the_teacher(self, hooks, logits, tokens, beta):
        log_q, log_p = self.logs(logits)
        q, p = np.exp(log_q), np.exp(log_p)
        log_m = np.log(beta * p + (1 - beta) * q)
        expected = (beta * p * (log_p - log_m) + (1 - beta) * q * (log_q - log_m)).sum(-1)
        options = {} if beta == 0.5 else {"beta": beta}
        np.testing.assert_allclose(
            hooks("opsd", **options).divergence(*logits, tokens).numpy(), expected, rtol=2e-5
        )

    def test_the_two_kls(self, hooks, logits, tokens):
        log_q, log_p = self.logs(logits)
        for name, (one, other) in {"fkl": (log_p, log_q), "rkl": (log_q, log_p)}.items():
            expected = (np.exp(one) * (one - other)).sum(-1)
            found = hooks("opsd", divergence=name).divergence(*logits, tokens)
            np.testing.assert_allclose(found.numpy(), expected, rtol=2e-5)

    def test_sampled_has_the_policy_gradient_of_the_reverse_kl_at_the_tokens_that_were_sampled(
        self, hooks, logits, tokens
    ):
        student, teacher = logits
        leaf = student.clone().requires_grad_()
        given = hooks("opsd", divergence="sampled").divergence(leaf, teacher, tokens)
        (gradient,) = torch.autograd.grad(given.sum(), leaf)
        wide = student.double().requires_grad_()
        at = torch.arange(6), tokens.ids
        log_q, log_p = wide.log_softmax(-1)[at], teacher.double().log_softmax(-1)[at]
        advantage = (log_p - log_q).detach()
        (slope,) = torch.autograd.grad((-advantage * log_q).sum(), wide)
        np.testing.assert_allclose(given.detach().numpy(), (log_q - log_p).detach().numpy(), rtol=1e-5)
        torch.testing.assert_close(gradient.double(), slope, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("divergence", ["jsd", "rkl", "fkl", "sampled"])
    def test_the_first_tokens_of_each_sequence_may_have_no_loss(self, hooks, logits, tokens, divergence):
        whole = hooks("opsd", divergence=divergence).divergence(*logits, tokens)
        part = hooks("opsd", divergence=divergence, skip_tokens=1).divergence(*logits, tokens)
        left_out = torch.tensor([True, False, False, True, False, True])
        assert torch.equal(part, whole.masked_fill(left_out, 0.0))
        assert bool(whole.ne(0).all())
