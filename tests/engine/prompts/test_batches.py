"""Batches: rows that begin alike become neighbours, and what the rows bring along."""

import pytest

from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.errors import RunError


def test_rows_that_begin_alike_become_neighbours():
    beginning = list(range(10, 40))
    examples = [
        EncodedExample(0, [*beginning, 1], [5, 2]),
        EncodedExample(1, [9, 8, 7], [6, 2]),
        EncodedExample(2, [*beginning, 2], [7, 2]),
    ]
    batch = make_batch(examples, share_beginnings=True)
    assert batch.examples == [1, 0, 2]
    assert batch.prefix_groups.sizes == (1, 2)
    assert batch.target.tokens[:, 0].tolist() == [6, 5, 7]
    assert make_batch(examples, share_beginnings=False).examples == [0, 1, 2]


def test_teacher_targets_come_along_only_if_all_rows_have_them():
    one = EncodedExample(0, [3, 4], [5, 2], teacher_target=[6, 2])
    other = EncodedExample(1, [3, 4], [5, 2])
    assert make_batch([one, one], share_beginnings=True).teacher_target.tokens.tolist() == [[6, 2], [6, 2]]
    assert make_batch([one, other], share_beginnings=True).teacher_target is None


def test_privileged_prompts_are_grouped_by_themselves_in_the_rows_order():
    beginning = list(range(10, 40))
    examples = [
        EncodedExample(0, [*beginning, 1], [5, 2], privileged=[*beginning, 50, 1]),
        EncodedExample(1, [9, 8, 7], [6, 2], privileged=[*beginning, 50, 2]),
        EncodedExample(2, [*beginning, 2], [7, 2], privileged=[*beginning, 50, 3]),
    ]
    batch = make_batch(examples, share_beginnings=True)
    assert batch.examples == [1, 0, 2]
    privileged = batch.after_privileged_prompts()
    assert privileged.prompts == [[*beginning, 50, n] for n in (2, 1, 3)]
    assert privileged.prefix_groups.sizes == (3,)
    assert privileged.target is batch.target
    assert batch.prompts == [[9, 8, 7], [*beginning, 1], [*beginning, 2]]
    moved = batch.to("meta").after_privileged_prompts()
    assert moved.prefix_groups.beginning.device.type == "meta"


def test_without_privileged_prompts_a_method_that_uses_them_is_told_what_to_do():
    batch = make_batch([EncodedExample(0, [3, 4], [5, 2])], share_beginnings=True)
    with pytest.raises(RunError, match=r"Options\.privileged_prompt must be the text"):
        batch.after_privileged_prompts()
