"""Every example is drawn once an epoch, in an order that the seed and the epoch decide."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.engine.prompts.batches import EncodedExample, GroupedSampler, SeededSampler, make_batch

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


def test_rows_that_begin_alike_become_neighbours():
    beginning = list(range(10, 40))
    examples = [
        EncodedExample(0, [*beginning, 1], [5, 2]),
        EncodedExample(1, [9, 8, 7], [6, 2]),
        EncodedExample(2, [*beginning, 2], [7, 2]),
    ]
    batch = make_batch(examples, share_beginnings=True)
    assert batch.examples == [1, 0, 2]
    assert batch.layout.sizes == (1, 2)
    assert batch.target.tokens[:, 0].tolist() == [6, 5, 7]
    assert make_batch(examples, share_beginnings=False).examples == [0, 1, 2]


def test_teacher_targets_come_along_only_if_all_rows_have_them():
    one = EncodedExample(0, [3, 4], [5, 2], teacher_target=[6, 2])
    other = EncodedExample(1, [3, 4], [5, 2])
    assert make_batch([one, one], share_beginnings=True).teacher_target.tokens.tolist() == [[6, 2], [6, 2]]
    assert make_batch([one, other], share_beginnings=True).teacher_target is None
