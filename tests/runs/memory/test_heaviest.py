"""The part of a training's steps that takes the most memory, against all parts looked at one by one."""

from __future__ import annotations

import pytest

from kdzoo.engine.prompts.batch_order import SeededSampler
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.recipe import Training
from kdzoo.runs.memory.heaviest import heaviest_part, padded_tokens


def examples(lengths: list[int]) -> list[EncodedExample]:
    return [EncodedExample(i, [7 + i] * length, [1, 2]) for i, length in enumerate(lengths)]


def test_padding_counts_and_beginnings_that_are_shared_count_once() -> None:
    alike = [EncodedExample(i, [*range(3, 43), 50 + i, 9], [1] * (2 + i)) for i in range(4)]
    assert padded_tokens(alike, shares=False) == 4 * 42 + 4 * 5
    # 40 tokens once, and of every row one more; the last token is a sequence's first
    assert padded_tokens(alike, shares=True) == 40 + 4 * 1 + 4 * 5
    assert padded_tokens(examples([10, 90]), shares=False) == 2 * 90 + 2 * 2


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_is_the_one_with_the_most_tokens_of_those_that_are_drawn(rows: int) -> None:
    given = examples([5, 30, 7, 11, 80, 6, 9, 10])
    training = Training(batch_size=4, epochs=1, sharing="off")
    part = heaviest_part(given, training, rows, seed=3)
    order = list(SeededSampler(8, 3))
    parts = [order[i : i + rows] for i in range(0, 8, rows)]
    expected = max(parts, key=lambda p: rows * max(len(given[i].prompt) for i in p))
    assert [example.index for example in part] == expected
