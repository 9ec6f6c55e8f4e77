"""A method under check is called as the core calls it, on steps that give no more than it asks for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from broken_methods import described, module

from kdzoo import Options, Sequences
from kdzoo.methods.registry import hooks_of, plugin_of
from kdzoo.testing.case import Case


class Asking(Options):
    @property
    def needs_teacher_target(self) -> bool:
        return True


def case(*hooks: Any, options: type[Options] = Options) -> Case:
    plugin = plugin_of(module(*hooks, method=described(options=options)))
    return Case(plugin, hooks_of(plugin), options())


def test_sequences_are_made_without_gradients_and_then_stand_in_the_step() -> None:
    recorded = []

    def make_training_sequence(step: Any) -> Sequences:
        recorded.append(torch.is_grad_enabled())
        return step.target

    made = case(make_training_sequence)
    (step, *_) = made.steps()
    assert made.make(step) is step.target
    assert step.training_sequence is step.target
    assert recorded == [False]


def test_an_aux_loss_is_given_the_sequences_and_keeps_its_gradients() -> None:
    def aux_loss(step: Any) -> torch.Tensor:
        return step.student.cross_entropy(step.training_sequence)

    given = case(aux_loss)
    assert given.aux_loss(given.steps()[0]).requires_grad


def test_a_divergence_is_given_what_the_core_gives() -> None:
    def divergence(
        student_logits: Any, teacher_logits: Any, other_logits: Any, tokens: Any, step: Any, options: Any
    ) -> tuple[Any, ...]:
        return student_logits, teacher_logits, other_logits["teacher"], tokens, step, options

    given = case(divergence)
    step, student, teacher, tokens = given.steps()[0], torch.zeros(1), torch.ones(1), object()
    found = given.divergence(step, student, teacher, tokens)
    assert found == (student, teacher, teacher, tokens, step, given.options)
    assert given.implements("divergence")
    assert not given.implements("aux_loss")


def test_steps_are_taken_from_the_beginning_to_the_end_of_a_training() -> None:
    steps = case().steps()
    assert [step.progress for step in steps] == [0, 0.5, 1]
    assert len({str(step.target.tokens.tolist()) for step in steps}) == 3


def test_a_teacher_s_generations_are_there_where_the_options_ask_for_them() -> None:
    for step in case(options=Asking).steps():
        assert len(step.teacher_target.lengths) == len(step.target.lengths)
    with pytest.raises(AssertionError, match="needs_teacher_target"):
        case().steps()[0].teacher_target  # noqa: B018
