"""Hooks that methods share: what they give, and what they leave out where it is not asked for."""

import pytest

from kdzoo import Source, TrainingDataOptions, WeightedOptions, mle_on_target, target_or_generated
from kdzoo.testing import RandomBatch


def test_mle_is_weighed_and_left_out_at_weight_0():
    step = RandomBatch().step()
    loss = mle_on_target()(step, WeightedOptions(mle_weight=0.5))
    assert loss.item() == pytest.approx(0.5 * step.student.cross_entropy(step.target).item())
    step.student = None  # to ask for it would be an error
    assert mle_on_target()(step, WeightedOptions(mle_weight=0.0)) is None


def test_the_training_data_are_those_that_the_options_name():
    step = RandomBatch().step()
    assert target_or_generated()(step, TrainingDataOptions()) is step.target
    greedy = target_or_generated()(step, TrainingDataOptions(data="student", temperature=0.0))
    assert set(greedy.sources.tolist()) == {Source.STUDENT}
    assert greedy.tokens.tolist() == step.student.generate(temperature=0.0).tokens.tolist()
