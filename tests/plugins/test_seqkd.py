"""SeqKD: maximum likelihood on the teacher's sequences, which the teacher makes by beam search and is not run on again."""

import pytest
import torch
from pydantic import ValidationError

from kdzoo import Decoding
from kdzoo.engine.training.chosen_method import choose_method
from kdzoo.methods.source import Source
from kdzoo.testing import check_method

TARGETS, OF_TEACHER = [[3, 4, 5], [], [6, 7]], [[8], [3, 4], [5, 6, 7]]


@pytest.mark.parametrize("options", [{}, {"mle_weight": 0.5, "kd_weight": 0.5, "teacher_decoding": "sample"}])
def test_it_keeps_the_rules(options):
    check_method("seqkd", options)


def test_it_trains_on_what_the_teacher_generated(hooks, make_step):
    step = make_step(TARGETS, teacher_targets=OF_TEACHER)
    seqkd = hooks("seqkd")
    assert seqkd.sequences(step) is step.teacher_target
    assert seqkd.rows(step) == [[*row, 2] for row in OF_TEACHER]
    assert set(step.training_sequence.sources.tolist()) == {Source.TEACHER}


def test_its_loss_is_the_likelihood_of_the_teacher_s_sequences(hooks, make_step, mean_nll):
    step = make_step(TARGETS, teacher_targets=OF_TEACHER)
    seqkd = hooks("seqkd", kd_weight=0.5)
    sequences = seqkd.sequences(step)
    student = step.student.logits(sequences)[sequences.mask]
    loss = seqkd.divergence(student, None, sequences.scored).mean()
    with_end = [[*row, 2] for row in OF_TEACHER]
    assert loss.item() == pytest.approx(0.5 * mean_nll(step, with_end, with_end), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, step.student.model.table)
    assert gradient.any()


def test_the_ground_truth_has_a_share_if_it_is_asked_for(hooks, make_step, mean_nll):
    step = make_step(TARGETS, teacher_targets=OF_TEACHER)
    assert hooks("seqkd").aux_loss(step) is None
    assert not hooks("seqkd").options.scores_target
    mixed, with_end = hooks("seqkd", mle_weight=0.3), [[*row, 2] for row in TARGETS]
    assert mixed.aux_loss(step).item() == pytest.approx(0.3 * mean_nll(step, with_end, with_end), rel=1e-5)
    assert mixed.options.scores_target


def test_the_teacher_searches_with_5_beams_before_training_and_is_not_run_in_it(hooks):
    options = hooks("seqkd").options
    assert options.needs_teacher_target
    assert options.teacher_target_decoding == Decoding(temperature=0, beams=5)
    assert not choose_method("seqkd", options).compares


@pytest.mark.parametrize("options", [{"teacher_beams": 1}, {"mle_weight": -1}, {"teacher_decoding": "mode"}])
def test_options_out_of_range_are_errors(hooks, options):
    with pytest.raises(ValidationError):
        hooks("seqkd", **options)
