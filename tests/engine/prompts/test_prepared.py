"""Rows of different shapes stand in one tensor, zeros behind them."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.engine.prompts.prepared import put_together


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=5))
def test_every_row_keeps_its_numbers(shapes):
    rows = [{"a": torch.rand(shape) + 1, "b": torch.tensor(i)} for i, shape in enumerate(shapes)]
    together = put_together(rows)
    assert together["b"].tolist() == list(range(len(shapes)))
    assert together["a"].shape == (len(shapes), *map(max, zip(*shapes, strict=True)))
    for (height, width), row, padded in zip(shapes, rows, together["a"], strict=True):
        assert torch.equal(padded[:height, :width], row["a"])
        assert int((padded != 0).sum()) == height * width


def test_nothing_is_nothing():
    assert put_together([]) == {}
