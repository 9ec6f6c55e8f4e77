"""The random numbers of a step depend on the seed, the step and the example, and on nothing else."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.methods.randomness import StepGenerator

counts = st.integers(0, 40)


def make(seed=1, step=2, examples=(10, 11, 12)):
    return StepGenerator(seed, step, examples)


@given(first=counts, second=counts)
def test_a_row_s_first_numbers_are_the_same_for_every_count(first, second):
    shared = min(first, second)
    assert torch.equal(make().per_row(first)[:, :shared], make().per_row(second)[:, :shared])


@settings(max_examples=30)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=8, unique=True), st.randoms())
def test_an_example_draws_the_same_in_any_batch(examples, shuffler):
    whole = dict(zip(examples, make(examples=examples).per_row(5).tolist(), strict=True))
    shuffled = list(examples)
    shuffler.shuffle(shuffled)
    middle = len(shuffled) // 2
    for part in (shuffled[:middle], shuffled[middle:]):
        assert make(examples=part).per_row(5).tolist() == [whole[example] for example in part]


def test_an_earlier_draw_s_count_does_not_shift_the_next():
    short, long = make(), make()
    short.per_row(1)
    long.per_row(9)
    assert torch.equal(short.per_row(3), long.per_row(3))


@pytest.mark.parametrize("other", [{"seed": 2}, {"step": 3}, {"examples": (20, 21, 22)}])
def test_another_seed_step_or_example_draws_other_numbers(other):
    assert not torch.equal(make().per_row(4), make(**other).per_row(4))


def test_draws_of_one_step_differ_among_rows_and_from_draw_to_draw():
    generator = make()
    drawn = torch.cat([generator.per_row(4).flatten(), generator.per_row(4).flatten()])
    assert len(set(drawn.tolist())) == len(drawn)


def test_a_batch_s_number_is_that_of_all_its_parts():
    whole = make(examples=[1, 2, 3, 4])
    parts = make(examples=[1]), make(examples=[2, 3, 4])
    assert [part.per_batch() for part in parts] == [whole.per_batch()] * 2


def test_row_and_batch_numbers_of_the_same_draw_differ():
    assert make(examples=[-1]).per_row(1).item() != make(examples=[-1]).per_batch()


def test_numbers_are_uniform_float32_below_1():
    numbers = StepGenerator(0, 0, range(500)).per_row(40)
    assert numbers.dtype == torch.float32
    assert numbers.shape == (500, 40)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    # 20,000 numbers in ten bins: each count within five standard deviations
    counted = np.histogram(numbers.numpy(), bins=10, range=(0, 1))[0]
    assert np.abs(counted - 2000).max() < 5 * np.sqrt(20_000 * 0.1 * 0.9)
    batch = [StepGenerator(0, step, []).per_batch() for step in range(2000)]
    assert abs(np.mean(batch) - 0.5) < 5 * np.sqrt(1 / 12 / 2000)


def test_a_batch_without_rows_draws_nothing():
    assert make(examples=[]).per_row(3).shape == (0, 3)


def test_the_global_generators_stay_where_they_are():
    torch.manual_seed(5)
    before = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    generator = make()
    generator.per_row(7)
    generator.per_batch()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), str(np.random.get_state())) == before[1:]


def test_the_numbers_are_fixed_for_good():
    # a run that a later version continues must go on drawing the same
    generator = StepGenerator(7, 3, [42])
    assert generator.per_row(2).flatten().tolist() == pytest.approx([0.46517879, 0.96869034], abs=1e-7)
    assert generator.per_batch() == pytest.approx(0.97409970, abs=1e-7)
