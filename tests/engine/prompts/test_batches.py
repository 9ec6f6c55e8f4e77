"""Batches: rows that begin alike become neighbours, and what the rows bring along."""

from kdzoo.engine.prompts.batches import EncodedExample, make_batch


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
