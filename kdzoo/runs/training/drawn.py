"""The examples that a training draws, for what is made of each of them beforehand."""

from __future__ import annotations

from itertools import islice

from kdzoo.engine.prompts.batch_order import order_of
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.recipe import Training


def drawn(examples: list[EncodedExample], training: Training, seed: int) -> list[EncodedExample]:
    """The examples that the steps of a training with that seed draw; those of an epoch or more draw all."""
    steps = training.steps(len(examples))
    if steps >= training.steps_per_epoch(len(examples)):
        return examples
    order = order_of(examples, training.batch_size, training.size_of_groups, seed)
    numbers = set(islice(order, steps * training.batch_size))
    # the first stands in where one of several processes has no row of its own in a step
    return [example for number, example in enumerate(examples) if number in numbers or number == 0]
