"""What is made of examples before a training is made of those that its steps take, against the steps themselves."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.engine.prompts.batch_order import order_of
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.prompts.step_shares import StepShares
from kdzoo.recipe import Training
from kdzoo.runs.training.arguments import step_size
from kdzoo.runs.training.drawn import drawn

groups = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=40)


def examples(names: list[str]) -> list[EncodedExample]:
    return [EncodedExample(2 * i, [3, 4, 5], [6] * (1 + i % 3), name) for i, name in enumerate(names)]


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("group_by", ["none", "database"])
@given(names=groups, steps=st.integers(1, 8), seed=st.integers(0, 3))
def test_are_those_that_the_steps_take_on_any_number_of_processes(
    group_by: str, processes: int, names: list[str], steps: int, seed: int
) -> None:
    training = Training(max_steps=steps, batch_size=6, micro_batch_size=2, group_by=group_by, group_size=2)
    rows = examples(names)
    taken = set()
    for process in range(processes):
        order = order_of(rows, training.batch_size, training.size_of_groups, seed)
        shares = StepShares(order, step_size(training), process=process, processes=processes)
        in_steps = min(steps, training.steps_per_epoch(len(rows))) * step_size(training).parts(processes)
        for part in islice(shares, in_steps):
            # a process that has no row in a step runs the first one
            taken |= {rows[number].index for number in part or [0]}
    found = [example.index for example in drawn(rows, training, seed)]
    assert found == sorted(found)
    assert taken <= set(found) <= taken | {0}


def test_all_are_drawn_where_the_steps_are_an_epoch_or_more() -> None:
    rows = examples(["a"] * 10)
    assert drawn(rows, Training(epochs=1, batch_size=4), 0) == rows
    assert drawn(rows, Training(max_steps=3, batch_size=4), 0) == rows
    assert len(drawn(rows, Training(epochs=0.3, batch_size=4), 0)) in (4, 5)
