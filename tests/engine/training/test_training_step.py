"""What a plugin is given of a step: errors for what is not there, and the whole step however it was split."""

import pytest
import torch
from keeping_method import HOOKS, keeping
from tiny_training import BEGINNING, make_examples

from kdzoo import Sequences, Source, StepLosses
from kdzoo.engine.prompts.batches import make_batch
from kdzoo.engine.training.training_step import in_their_order
from kdzoo.errors import RunError


def test_the_sequences_of_a_step_s_parts_stand_in_the_order_of_their_prompts():
    first = Sequences.of([[7], [1, 2]], Source.STUDENT).with_values(x=torch.tensor([[7.0, 0], [1, 2]]))
    second = Sequences.of([[3, 4, 5]], Source.TEACHER).with_values(x=torch.tensor([[3.0, 4, 5]]))
    numbers, whole = in_their_order([([9, 4], first), ([6], second)])
    assert numbers == [4, 6, 9]
    assert [row[:n].tolist() for row, n in zip(whole.tokens, whole.lengths, strict=True)] == [
        [1, 2],
        [3, 4, 5],
        [7],
    ]
    assert whole.sources.tolist() == [Source.STUDENT, Source.TEACHER, Source.STUDENT]
    assert whole.values["x"].tolist() == [[1, 2, 0], [3, 4, 5], [7, 0, 0]]


def test_a_prompt_keeps_all_of_its_sequences():
    one = Sequences.of([[1], [2]], Source.STUDENT).beside(Sequences.of([[3], [4]], Source.TEACHER))
    numbers, whole = in_their_order([([5, 1], one)])
    assert numbers == [1, 5]
    assert whole.tokens.flatten().tolist() == [2, 4, 1, 3]


def test_what_was_not_prepared_is_named(make_module):
    nothing = dict.fromkeys(hook.__name__ for hook in HOOKS)
    module = make_module(keeping(**{**nothing, "aux_loss": lambda step: step.prepared["likely"].mean()}))
    with pytest.raises(RunError, match=r"uses step\.prepared, but has no hook prepare"):
        module(make_batch(make_examples(3), share_beginnings=True), BEGINNING)


def test_after_a_step_a_method_sees_all_of_it_and_its_losses(make_module):
    seen = []

    def after_step(step, losses):
        seen.append((list(step.examples), step.training_sequence.lengths.tolist(), losses))
        assert step.training_sequence.tokens.device.type == "cpu"
        assert not torch.is_grad_enabled()

    nothing = dict.fromkeys(hook.__name__ for hook in HOOKS)
    hooks = {"aux_loss": lambda step: step.student.cross_entropy(step.target), "after_step": after_step}
    module = make_module(keeping(**{**nothing, **hooks}))
    examples = make_examples(5)
    for part in (examples[3:], examples[:3]):
        module(make_batch(part, share_beginnings=True), BEGINNING)
    module.after_step(BEGINNING, StepLosses(3.0, 1.0, 2.0))
    assert seen == [([0, 1, 2, 3, 4], [len(e.target) for e in examples], StepLosses(3.0, 1.0, 2.0))]
