"""Every example is drawn once an epoch, in an order that the seed and the epoch decide."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.engine.prompts.batch_order import GroupedSampler, SeededSampler

groups = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=60)


@given(groups, st.integers(1, 8), st.integers(1, 8), st.integers(0, 3))
def test_every_example_is_drawn_once(names, batch_size, group_size, epoch):
    sampler = GroupedSampler(names, [i * 7 % 5 for i in range(len(names))], batch_size, group_size, seed=1)
    sampler.set_epoch(epoch)
    assert sorted(sampler) == list(range(len(names)))
    assert len(sampler) == len(names)


@pytest.mark.parametrize(
    "make", [lambda: SeededSampler(50, 3), lambda: GroupedSampler(["a", "b"] * 25, [1] * 50, 8, 4, 3)]
)
def test_the_order_depends_on_the_epoch_and_nothing_else(make):
    first, second = make(), make()
    assert list(first) == list(second)
    second.set_epoch(1)
    assert list(first) != list(second)
    second.set_epoch(0)
    assert list(first) == list(second)


def test_full_batches_hold_whole_groups():
    names = ["a"] * 21 + ["b"] * 18 + ["c"] * 9
    order = list(GroupedSampler(names, [1] * 48, batch_size=8, group_size=4, seed=0))
    batches = [order[i : i + 8] for i in range(0, len(order), 8)]
    whole = [all(count % 4 == 0 for count in Counter(names[i] for i in batch).values()) for batch in batches]
    # 5 + 4 + 2 whole groups fill 5 batches; what is left over shares the sixth
    assert sum(whole) == 5


def test_batches_hold_rows_of_similar_length():
    lengths = [i * 37 % 50 for i in range(320)]
    order = list(GroupedSampler(["a"] * 160 + ["b"] * 160, lengths, batch_size=8, group_size=4, seed=0))

    def padding(rows):
        batches = [rows[i : i + 8] for i in range(0, len(rows), 8)]
        return sum(max(lengths[i] for i in batch) - lengths[i] for batch in batches for i in batch)

    assert padding(order) < padding(list(SeededSampler(320, 0))) / 2
