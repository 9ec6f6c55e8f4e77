"""Which batches a way of running a model has room for."""

import pytest

from kdzoo.engine.prompts.prefix_groups import group_prefixes
from kdzoo.engine.prompts.way import Full, PrefixCached, in_step

# beginnings of at most 20 columns, rests of at most 2: prompts of 22 columns without their last tokens
GROUPS = group_prefixes(
    [[*range(10, 30), 1, 1, 1], [*range(10, 30), 2, 1, 1], [*range(10, 30), 3]], share_beginnings=True
)


@pytest.mark.parametrize(
    ("widest", "output", "fits"), [(None, 1000, True), (30, 8, True), (30, 9, False), (22, 0, True)]
)
def test_a_bound_counts_columns_with_their_padding(widest, output, fits):
    assert GROUPS.width == 22
    assert PrefixCached(widest=widest).fits(GROUPS, output) == fits


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (PrefixCached(packs=True), PrefixCached(packs=True, in_step=True)),
        (PrefixCached(packs=True, widest=30), PrefixCached(packs=False, widest=30, in_step=True)),
        (Full(), Full()),
        (Full(rows_at_once=1), None),
    ],
)
def test_in_step_nothing_that_is_run_depends_on_the_batch(way, expected):
    assert in_step(way) == expected
