"""OPD: the student's samples, and the policy gradient of the teacher's advantage on them."""

import pytest
import torch
from pydantic import ValidationError

from kdzoo.methods.source import Source
from kdzoo.testing import check_method

TARGETS = [[3, 4, 5, 6], [7], []]


def test_it_keeps_the_rules():
    check_method("opd")


def test_it_trains_on_what_the_student_samples_at_temperature_1(hooks, make_step):
    step = make_step(TARGETS)
    sequences = hooks("opd").sequences(step)
    assert torch.equal(sequences.tokens, make_step(TARGETS).student.generate(temperature=1.0).tokens)
    assert set(sequences.sources.tolist()) == {Source.STUDENT}


def test_its_loss_is_that_of_importance_sampling_at_the_sampled_tokens(hooks, make_step):
    opd, step = hooks("opd"), make_step(TARGETS)
    sequences = opd.sequences(step)
    mask, ids = sequences.mask, sequences.scored.ids
    student, teacher = (model.logits(sequences)[mask].detach() for model in (step.student, step.teacher))
    leaf = student.clone().requires_grad_()
    given = opd.divergence(leaf, teacher, sequences.scored)
    (gradient,) = torch.autograd.grad(given.sum(), leaf)

    wide = student.double().requires_grad_()
    log_q = wide.log_softmax(-1)[torch.arange(len(ids)), ids]
    log_p = teacher.double().log_softmax(-1)[torch.arange(len(ids)), ids]
    sampled = log_q.detach()
    advantage = -(sampled - log_p)
    expected = -(log_q - sampled).exp() * advantage
    (slope,) = torch.autograd.grad(expected.sum(), wide)
    torch.testing.assert_close(given.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient.double(), slope, rtol=1e-4, atol=1e-6)


def test_it_has_neither_an_auxiliary_loss_nor_options(hooks, make_step):
    assert hooks("opd").aux_loss(make_step(TARGETS)) is None
    with pytest.raises(ValidationError):
        hooks("opd", temperature=0.5)
