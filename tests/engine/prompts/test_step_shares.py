"""A step takes the same prompts whatever the number of processes, and all of these run as many parts of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.engine.prompts.batch_order import SeededSampler
from kdzoo.engine.prompts.step_shares import StepShares, StepSize

sizes = st.integers(1, 12).flatmap(
    lambda prompts: st.builds(StepSize, st.just(prompts), st.integers(1, prompts))
)


def parts_of_all(count, size, processes, epoch=0):
    """The parts of each process."""
    shares = [
        StepShares(SeededSampler(count, 5), size, process=process, processes=processes)
        for process in range(processes)
    ]
    for share in shares:
        share.set_epoch(epoch)
    assert all(len(list(share)) == len(share) for share in shares)
    return [list(share) for share in shares]


@given(st.integers(1, 50), sizes, st.integers(1, 5), st.integers(0, 2))
def test_all_processes_have_as_many_parts(count, size, processes, epoch):
    assert len({len(parts) for parts in parts_of_all(count, size, processes, epoch)}) == 1


@given(st.integers(1, 50), sizes, st.integers(1, 5))
def test_no_part_is_larger_than_is_run_at_once(count, size, processes):
    largest = size.part(processes)
    assert largest <= size.at_once
    assert all(len(part) <= largest for parts in parts_of_all(count, size, processes) for part in parts)


@given(st.integers(1, 50), sizes, st.integers(1, 5), st.integers(0, 2))
def test_a_step_has_the_prompts_that_it_has_alone(count, size, processes, epoch):
    order = SeededSampler(count, 5)
    order.set_epoch(epoch)
    alone = list(order)
    by_all = parts_of_all(count, size, processes, epoch)
    per_step = size.parts(processes)
    taken = []
    for start in range(0, len(by_all[0]), per_step):
        # process after process, as each has neighbours
        taken.append(
            [index for parts in by_all for part in parts[start : start + per_step] for index in part]
        )
    assert [index for step in taken for index in step] == alone
    assert all(len(step) == size.prompts for step in taken[:-1])


def test_one_process_alone_runs_the_parts_in_the_samplers_order():
    (parts,) = parts_of_all(11, StepSize(8, 4), 1)
    assert [len(part) for part in parts] == [4, 4, 3]
    assert [index for part in parts for index in part] == list(SeededSampler(11, 5))


def test_a_process_without_a_prompt_has_an_empty_part():
    assert [len(parts[-1]) for parts in parts_of_all(9, StepSize(8, 8), 2)] == [1, 0]


def test_a_step_must_hold_what_is_run_at_once():
    with pytest.raises(ValueError, match="9 prompts at once of 8"):
        StepSize(8, 9)
