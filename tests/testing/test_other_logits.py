"""The logits of further table models are those of the models that a step has, on the tokens that are asked for."""

import pytest
import torch

from kdzoo import Options
from kdzoo.errors import RunError
from kdzoo.testing import RandomBatch
from kdzoo.testing.other_logits import TableLogits


class Asking(Options):
    teacher_names = property(lambda self: ("wide",))
    average_decay = property(lambda self: 0.9)


@pytest.fixture
def batch():
    return RandomBatch(seed=1)


@pytest.fixture
def step(batch):
    made = batch.step(options=Asking())
    made.training_sequence = made.target
    return made


def test_they_are_each_model_s_own_by_its_name(batch, step):
    tokens = step.target.scored[2:7]
    given = torch.zeros(5, 12, dtype=torch.bfloat16)
    logits = TableLogits(step, tokens, given)
    assert set(logits) == {"teacher", "wide", "base", "average"}
    assert len(logits) == 4
    assert logits["teacher"] is given
    for name in ("wide", "base", "average"):
        model = batch.other(name)
        expected = [
            model.next_logits(step.examples[row], step.target.tokens[row, :t].tolist())
            for row, t in zip(tokens.rows.tolist(), tokens.positions.tolist(), strict=True)
        ]
        assert torch.equal(logits[name], torch.stack(expected).bfloat16())


def test_what_the_options_do_not_ask_for_is_not_there(batch):
    step = batch.step()
    step.training_sequence = step.target
    logits = TableLogits(step, step.target.scored, torch.zeros(1, 12))
    assert set(logits) == {"teacher", "base"}
    for name, words in (
        ("wide", r"Options\.teacher_names must have it"),
        ("average", r"Options\.average_decay must be a number"),
        ("student", r'a model "student"'),
    ):
        with pytest.raises(RunError, match=words):
            logits[name]
